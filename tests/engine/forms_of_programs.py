"""Real programs and the forms in which containers run them, for the table of predictions and outcomes."""

from dataclasses import dataclass

from tests.engine.started import Started

LOOP = "print('ready', flush=True)\nwhile 1: time.sleep(1)"
HANDLER_EXITS = f"import signal,sys,time\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(0))\n{LOOP}"
HANDLER_STAYS = f"import signal,time\nsignal.signal(signal.SIGTERM, lambda *a: print('no'))\n{LOOP}"
IGNORES = f"import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{LOOP}"
BLOCKS = f"import signal,time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\n{LOOP}"
WAITS_IN_THREAD = (
    "import signal,threading,os,time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\n"
    "def wait():\n    print('ready', flush=True)\n    signal.sigwait([15])\n    os._exit(0)\n"
    "threading.Thread(target=wait, daemon=True).start()\nwhile 1: time.sleep(1)"
)
EVENT_LOOP = (
    "import asyncio,signal\nasync def main():\n    stop = asyncio.Event()\n"
    "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)\n"
    "    print('ready', flush=True)\n    await stop.wait()\nasyncio.run(main())"
)
EXIT_CAUGHT = (
    "import signal,sys,time\nsignal.signal(15, lambda *a: sys.exit(0))\nprint('ready', flush=True)\n"
    "while 1:\n    try: time.sleep(1)\n    except BaseException as e: print(e)"
)
IN_SYSTEM = "import os,signal,sys\nsignal.signal(15, lambda *a: sys.exit(0))\nos.system('sleep 1000')"
RUBY_RESCUES = (
    "$stdout.sync = true\nputs 'ready'\nloop do\n begin\n  sleep 1\n rescue SignalException => e\n  puts e\n end\nend"
)
WSGI = (
    'printf \'def app(e, s):\\n    s("200 OK", [])\\n    return [b"x"]\\napplication = app\\n\' > /tmp/web.py; cd /tmp'
)
RUN_UWSGI = f"{WSGI}; exec uwsgi --plugin python3 --http-socket 127.0.0.1:8000 --wsgi-file web.py"
RUN_POSTGRES = (
    "mkdir -p /run/postgresql; chown postgres /run/postgresql; bin=$(ls -d /usr/lib/postgresql/*/bin); "
    "version=$(basename $(dirname $bin)); exec gosu postgres $bin/postgres -D /var/lib/postgresql/$version/main "
    "-c config_file=/etc/postgresql/$version/main/postgresql.conf"
)
CLIENT = "(until pg_isready --quiet; do sleep 0.2; done; exec gosu postgres psql -c 'select pg_sleep(60)')"
RUN_HAPROXY = (
    "printf 'defaults\\n timeout connect 5s\\n timeout client 5s\\n timeout server 5s\\n mode http\\n"
    "listen a\\n bind :8080\\n' > /tmp/h.cfg; exec haproxy -f /tmp/h.cfg"
)
SERVICE = "mkdir -p /tmp/s/a; printf '#!/bin/sh\\nexec sleep 1000\\n' > /tmp/s/a/run; chmod +x /tmp/s/a/run; "


@dataclass(frozen=True, slots=True)
class Form(Started):
    """One container: what runs in it, how it is stopped, and when it has started."""

    name: str
    command: tuple[str, ...]
    signal: str = "SIGTERM"
    options: tuple[str, ...] = ()
    grace_s: int = 3

    @property
    def shares_pids(self) -> bool:
        """Whether only a cgroup shows which processes are the container's."""
        return "--pid=host" in self.options


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def _supervised(*sections: str) -> tuple[str, ...]:
    text = "\\n".join(("[supervisord]", "nodaemon=true", *sections))
    return _sh(f"printf '{text}\\n' > /tmp/s.conf; exec supervisord -c /tmp/s.conf")


PERL_READY = "$| = 1; print qq(ready\\n);"
NODE_SYNC = "require('child_process').execSync('sleep 1000')"
NODE_STAYS = "setInterval(() => {}, 1000); console.log('ready')"

FORMS: tuple[Form, ...] = (
    # Web servers and proxies
    Form("nginx", ("nginx", "-g", "daemon off;"), runs="nginx: worker"),
    Form("nginx quit", ("nginx", "-g", "daemon off;"), "SIGQUIT", runs="nginx: worker"),
    Form("nginx hup", ("nginx", "-g", "daemon off;"), "SIGHUP", runs="nginx: worker"),
    Form("apache", _sh(". /etc/apache2/envvars; mkdir -p $APACHE_RUN_DIR; exec apache2 -DFOREGROUND"),
         handles="SIGTERM"),
    Form("apache winch", _sh(". /etc/apache2/envvars; mkdir -p $APACHE_RUN_DIR; exec apache2 -DFOREGROUND"),
         "SIGWINCH", grace_s=5, handles="SIGTERM"),
    Form("haproxy without a master", _sh(f"{RUN_HAPROXY} -db"), handles="SIGUSR1"),
    Form("haproxy", _sh(f"{RUN_HAPROXY} -W"), handles="SIGTERM"),
    Form("haproxy usr1", _sh(f"{RUN_HAPROXY} -W"), "SIGUSR1", handles="SIGTERM"),
    Form("lighttpd", _sh("mkdir -p /run/lighttpd; chown www-data /run/lighttpd; "
                         "exec lighttpd -D -f /etc/lighttpd/lighttpd.conf"), handles="SIGTERM"),
    Form("lighttpd int", _sh("mkdir -p /run/lighttpd; chown www-data /run/lighttpd; "
                             "exec lighttpd -D -f /etc/lighttpd/lighttpd.conf"), "SIGINT", handles="SIGTERM"),
    Form("squid", ("squid", "-N"), handles="SIGTERM", grace_s=4),
    # Databases and caches
    Form("redis", ("redis-server",), says="Ready to accept"),
    Form("memcached", ("memcached", "-u", "nobody"), grace_s=4, handles="SIGTERM"),
    Form("postgres", _sh(RUN_POSTGRES), says="ready to accept connections", grace_s=5),
    Form("postgres with a client",
         _sh(f"{CLIENT} & {RUN_POSTGRES}"), runs="postgres: .* SELECT"),
    Form("postgres int", _sh(RUN_POSTGRES), "SIGINT", says="ready to accept connections", grace_s=5),
    Form("mariadb", _sh("mkdir -p /run/mysqld; chown mysql /run/mysqld; exec mariadbd --user=mysql"), grace_s=8,
         says="ready for connections"),
    Form("mariadbd-safe", _sh("mkdir -p /run/mysqld; chown mysql /run/mysqld; exec mariadbd-safe --user=mysql"),
         runs="/usr/sbin/mariadbd"),
    # Application servers
    Form("php-fpm", _sh("mkdir -p /run/php; exec $(ls /usr/sbin/php-fpm*) -F"), handles="SIGTERM"),
    Form("gunicorn", _sh(f"{WSGI}; exec gunicorn -b 127.0.0.1:8000 web:app"), grace_s=5, says="Booting worker"),
    Form("uwsgi reloads", _sh(f"{RUN_UWSGI} --master"),
         says="spawned uWSGI"),
    Form("uwsgi exits", _sh(f"{RUN_UWSGI} --master --die-on-term"), grace_s=5,
         says="spawned uWSGI"),
    Form("uwsgi with a master by its environment", _sh(RUN_UWSGI), options=("-e", "UWSGI_MASTER=1"),
         says="spawned uWSGI"),
    # Other daemons
    Form("sshd", _sh("mkdir -p /run/sshd; exec /usr/sbin/sshd -D"), handles="SIGTERM"),
    Form("cron", ("cron", "-f"), handles="SIGHUP"),
    Form("rsyslogd", ("rsyslogd", "-n"), handles="SIGTERM"),
    Form("dnsmasq", ("dnsmasq", "-k"), handles="SIGTERM"),
    Form("named", ("named", "-g", "-u", "bind"), says="running", grace_s=5),
    Form("socat", ("socat", "TCP-LISTEN:8000,fork", "-"), handles="SIGTERM"),
    # Inits and supervisors
    Form("tini", ("tini", "sleep", "1000"), runs="sleep"),
    Form("docker-init", ("sleep", "1000"), options=("--init",), runs="sleep"),
    Form("tini, a shell with a trap", ("tini", "--", "bash", "-c", "trap 'exit 0' TERM; sleep 1000"), runs="sleep"),
    Form("tini for the group", ("tini", "-g", "--", "bash", "-c", "trap 'exit 0' TERM; sleep 1000"), runs="sleep"),
    Form("dumb-init", ("dumb-init", "bash", "-c", "trap 'exit 0' TERM; sleep 1000"), runs="sleep"),
    Form("dumb-init, one child", ("dumb-init", "-c", "bash", "-c", "trap 'exit 0' TERM; sleep 1000"), runs="sleep"),
    Form("catatonit", ("catatonit", "--", "python3", "-c", HANDLER_STAYS), says="ready"),
    Form("s6-svscan", _sh(f"{SERVICE} exec s6-svscan /tmp/s"), runs="sleep"),
    Form("runsvdir", _sh(f"{SERVICE} exec runsvdir /tmp/s"), runs="sleep"),
    Form("runsv", _sh(f"{SERVICE} exec runsv /tmp/s/a"), runs="sleep"),
    Form("s6-supervise", _sh(f"{SERVICE} exec s6-supervise /tmp/s/a"), runs="sleep"),
    Form("s6-svscan, a service with another stop signal",
         _sh(f"{SERVICE} echo SIGWINCH > /tmp/s/a/down-signal; exec s6-svscan /tmp/s"), runs="sleep"),
    Form("supervisord hup", _supervised("[program:a]", "command=sleep 1000"), "SIGHUP", says="a entered RUNNING"),
    Form("supervisord", _supervised("[program:a]", "command=sleep 1000", "[program:b]", "command=sleep 1001"),
         grace_s=5, says="b entered RUNNING"),
    Form("supervisord with a program that does not exit",
         _supervised("[program:a]", "command=bash -c \"trap : TERM; while :; do sleep 5; done\""),
         says="a entered RUNNING", runs="sleep"),
    # Wrappers
    Form("su", ("su", "nobody", "-s", "/bin/sh", "-c", "sleep 1000"), grace_s=4, runs="sleep",
         handles="SIGTERM"),
    Form("sudo", ("sudo", "sleep", "1000"), runs="sleep", handles="SIGTERM"),
    Form("timeout", ("timeout", "1000", "sleep", "1000"), runs="sleep"),
    Form("setpriv", ("setpriv", "--reuid=65534", "--clear-groups", "sleep", "1000"), runs="sleep"),
    Form("gosu", ("gosu", "nobody", "python3", "-c", HANDLER_EXITS), says="ready"),
    # Shells
    Form("dash in front", _sh("sleep 1000; true"), runs="sleep"),
    Form("bash -c that becomes its command", ("bash", "-c", "sleep 1000"), runs="sleep"),
    Form("dash, trap deferred", _sh("trap 'exit 0' TERM; sleep 1000"), runs="sleep"),
    Form("bash, trap deferred", ("bash", "-c", "trap 'exit 0' TERM; sleep 1000; true"), runs="sleep"),
    Form("dash, trap while it waits", _sh("trap 'exit 0' TERM; sleep 1000 & wait"), runs="sleep"),
    Form("bash, trap while it waits", ("bash", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"), runs="sleep"),
    Form("busybox sh, trap in a loop", ("busybox", "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"),
         runs="sleep"),
    Form("mksh, trap that continues", ("mksh", "-c", "trap 'echo x' TERM; while :; do sleep 1; done"), runs="sleep"),
    Form("zsh, a trap that forwards it", ("zsh", "-c", "sleep 1000 & p=$!; trap 'kill $p' TERM; wait $p; wait $p"),
         handles="SIGTERM"),
    Form("bash at a terminal", ("bash",), options=("-t", "-i"), handles="SIGWINCH"),
    Form("bash, a trap that does not end read",
         ("bash", "-c", "trap 'echo x' TERM; echo ready; while read x; do echo $x; done"),
         options=("-i",), grace_s=1, says="ready"),
    Form("bash, traps set in a loop", ("bash", "-c", "for s in INT TERM; do trap \"echo $s; exit 0\" $s; done; "
                                       "while :; do sleep 1000 & wait; done"), runs="sleep"),
    Form("bash, set -e", ("bash", "-ec", "trap 'echo x' TERM; while :; do sleep 1000 & wait $!; done"), runs="sleep"),
    Form("bash, EXIT and TERM deferred", ("bash", "-c", "trap 'echo x' EXIT; trap 'exit 0' TERM; sleep 1000; true"),
         grace_s=1, runs="sleep"),
    Form("dash, a trap in another file", _sh("echo \"trap 'exit 0' TERM\" > /lib.sh; . /lib.sh; sleep 1000 & wait"),
         runs="sleep"),
    Form("dash, its last sleep", _sh("sleep 45; true"), grace_s=90, runs="sleep"),
    Form("mksh, a trap on SIGINT", ("mksh", "-c", "trap 'exit 0' INT; \"$@\" & wait", "x", "sleep", "1000"), "SIGINT",
         runs="sleep"),
    # Runtimes
    Form("python without a handler", ("python3", "-u", "-m", "http.server"), says="Serving HTTP"),
    Form("python, handler that exits", ("python3", "-c", HANDLER_EXITS), says="ready"),
    Form("python, handler that stays", ("python3", "-c", HANDLER_STAYS), says="ready"),
    Form("python, ignored", ("python3", "-c", IGNORES), says="ready"),
    Form("python, blocked", ("python3", "-c", BLOCKS), says="ready"),
    Form("python, a thread that waits", ("python3", "-c", WAITS_IN_THREAD), says="ready"),
    Form("python, an exit that a loop catches", ("python3", "-c", EXIT_CAUGHT), says="ready", grace_s=1),
    Form("python, in os.system", ("python3", "-c", IN_SYSTEM), runs="sleep", grace_s=1),
    Form("asyncio", ("python3", "-c", EVENT_LOOP), says="ready"),
    Form("node without a listener", ("node", "-e", NODE_STAYS), says="ready"),
    Form("node with a listener", ("node", "-e", f"process.on('SIGTERM', () => process.exit(0)); {NODE_STAYS}"),
         says="ready"),
    Form("node, in execSync", ("node", "-e", f"process.on('SIGTERM', () => process.exit(0)); {NODE_SYNC}"),
         runs="sleep", grace_s=1),
    Form("node behind tini", ("tini", "--", "node", "-e", NODE_STAYS), says="ready"),
    Form("ruby without a trap", ("ruby", "-e", "$stdout.sync = true; puts 'ready'; sleep 1000"), says="ready"),
    Form("perl with a handler", ("perl", "-e", f"$SIG{{TERM}} = sub {{ exit 0 }}; {PERL_READY} sleep 1000 while 1"),
         says="ready"),
    Form("perl, handlers in a list",
         ("perl", "-e", f"$SIG{{$_}} = sub {{ exit }} for qw(INT TERM); {PERL_READY} sleep 9 while 1"),
         says="ready"),
    Form("ruby, rescued in a loop", ("ruby", "-e", RUBY_RESCUES), says="ready", grace_s=1),
    Form("pid of the host", ("sleep", "1000"), options=("--pid=host",), runs="sleep"),
)  # fmt: skip
