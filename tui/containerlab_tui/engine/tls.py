"""TLS to an engine: its settings from files, never from the environment of other programs, and its failures.

REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE are for other programs; none of them
reaches an SSLContext that is made here.
"""

import os
import re
import ssl
from functools import lru_cache

from containerlab_probes.errors import ContainerlabError, Denied, Unreachable
from containerlab_probes.safe_text import safe_line
from containerlab_tui.engine.endpoint import Tls

_EXPIRED, _NOT_YET_VALID, _WRONG_HOST, _WRONG_ADDRESS = 10, 9, 62, 64
"""OpenSSL's X509_V_ERR_ numbers (openssl/x509_vfy.h)."""
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL")
_REFUSED = re.compile(r"ALERT_(.*)")


@lru_cache(8)
def context(files: Tls) -> ssl.SSLContext:
    """Returns the settings of connections with these files. Raises Unreachable and Denied for unusable files."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # create_default_context follows SSLKEYLOGFILE
    if not files.verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    elif files.ca:
        _readable(files.ca)
        try:
            made.load_verify_locations(files.ca)
        except ssl.SSLError as error:
            raise Unreachable(
                f"{files.ca} has no certificate in PEM form; TLS needs one to verify the engine."
            ) from error
    else:
        _load_system_authorities(made)
    if files.certificate:
        _load_own_certificate(made, files)
    return made


def _readable(path: str) -> None:
    """Raises Denied or Unreachable, with the path, which OpenSSL's errors lack."""
    if not os.path.exists(path):
        raise Unreachable(f"There is no file {path}, which TLS to the engine needs.")
    if not os.access(path, os.R_OK):
        raise Denied(f"No permission to read {path}, which TLS to the engine needs.")


def _load_system_authorities(made: ssl.SSLContext) -> None:
    """Loads the authorities of the system from their usual places (set_default_verify_paths follows SSL_CERT_FILE)."""
    paths = ssl.get_default_verify_paths()
    for cafile, capath in ((paths.openssl_cafile, None), (None, paths.openssl_capath)):
        try:
            made.load_verify_locations(cafile, capath)
        except OSError:  # Debian has only the directory, others only the file
            continue


def _load_own_certificate(made: ssl.SSLContext, files: Tls) -> None:
    for path in (files.certificate, files.key):
        _readable(path)

    def no_passphrase() -> str:
        """Keeps OpenSSL from asking on the terminal."""
        raise Denied(f"{files.key} has a passphrase, which cannot be typed here; TLS to the engine needs it without.")

    try:
        made.load_cert_chain(files.certificate, files.key, no_passphrase)
    except ssl.SSLError as error:
        raise Unreachable(
            f"{files.certificate} and {files.key} are not a certificate and its key in PEM form ({_reason(error)})."
        ) from error


def failure(error: BaseException, where: str) -> ContainerlabError | None:
    """Returns the error for what OpenSSL raised; None if it is not one of its errors.

    `where` is the engine's address for a sentence.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(_untrusted(error, where))
    if not isinstance(error, ssl.SSLError) or isinstance(error, TimeoutError):
        return None
    reason = error.reason or ""
    if _NO_TLS.search(reason):
        return Unreachable(
            f"{where} does not speak TLS. Unset DOCKER_TLS_VERIFY and DOCKER_TLS, use a context without TLS, "
            "or name the port with TLS (usually 2376)."
        )
    if refused := _REFUSED.search(reason):
        words = refused[1].replace("_", " ").lower()
        return Denied(
            f"{where} refused the TLS connection ({words}): it wants a client certificate that it trusts, "
            "in cert.pem and key.pem of DOCKER_CERT_PATH or of the context."
        )
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Unreachable(
            f"{where} closed the connection during TLS. It may want a client certificate that it trusts, "
            "or it does not speak TLS."
        )
    return Unreachable(f"TLS to {where} failed ({_reason(error)}).")


def _untrusted(error: ssl.SSLCertVerificationError, where: str) -> str:
    match error.verify_code:
        case code if code == _EXPIRED:
            return f"The certificate of {where} has expired; renew it, and check this machine's clock."
        case code if code == _NOT_YET_VALID:
            return f"The certificate of {where} is not valid yet; check the clocks of both machines."
        case code if code in (_WRONG_HOST, _WRONG_ADDRESS):
            return (
                f"The certificate of {where} is for another host. Use a name that is in it, "
                "or make one with this name (subjectAltName)."
            )
    return (
        f"The certificate of {where} is not trusted: no authority in ca.pem signed it ({_verdict(error)}). "
        "Is ca.pem of DOCKER_CERT_PATH or of the context the one of this engine?"
    )


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    return safe_line(error.verify_message, 200)


def _reason(error: ssl.SSLError) -> str:
    words = (error.reason or str(error)).replace("_", " ").lower()
    return safe_line(words, 200)
