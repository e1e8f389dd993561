"""Certificates for tests, made with openssl: an authority, and what it signs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority; its certificate is `folder/ca.pem`."""

    folder: Path

    def sign(self, folder: Path, names: str, days: int = 2) -> Path:
        """Makes cert.pem and key.pem in a folder, next to a copy of ca.pem, and returns the folder.

        `names`: the value of subjectAltName, as `DNS:localhost,IP:127.0.0.1`. `days`: 0 has expired at once.
        """
        folder.mkdir(parents=True, exist_ok=True)
        request, extensions = folder / "request.pem", folder / "extensions"
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", "-new", *NEW_KEY, "-keyout", f"{folder}/key.pem", "-out", str(request), "-subj", "/CN=test")
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", f"{self.folder}/ca.pem", "-CAkey", f"{self.folder}/key.pem",
            "-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", f"{folder}/cert.pem",
        )  # fmt: skip
        (folder / "ca.pem").write_bytes((self.folder / "ca.pem").read_bytes())
        return folder


def authority(folder: Path) -> Authority:
    """Makes an authority in a folder."""
    folder.mkdir(parents=True)
    _openssl(
        "req", "-x509", *NEW_KEY, "-keyout", f"{folder}/key.pem", "-out", f"{folder}/ca.pem",
        "-days", "2", "-subj", "/CN=test authority",
    )  # fmt: skip
    return Authority(folder)


def lock(key: Path) -> None:
    """Puts a passphrase on a key."""
    locked = key.with_suffix(".locked")
    _openssl("pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    locked.replace(key)
