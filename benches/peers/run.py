#!/usr/bin/env python3
"""dmarcdb beside parsedmarc: the same generated reports, on the same machine, in the same run, as files, as an mbox and over IMAP
from a Dovecot of this machine; and its reader beside that of mail-auth, in memory.

    python3 benches/peers/run.py [REPORTS]

Makes a virtual environment under target/peers with the pinned parsedmarc from PyPI, writes seeded reports, lets both read them
in turns, checks that both found every record, and prints a table of processor seconds, seconds on the clock and peak memory.
parsedmarc runs with --offline: no look-ups of names, which dmarcdb does not do while it reads either.
"""

import grp
import gzip
import json
import os
import pwd
import re
import signal
import socket
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import encodebytes
from email.message import EmailMessage
from pathlib import Path

PARSEDMARC = "parsedmarc==11.1.0"
ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "peers"
DMARCDB = Path(os.environ.get("DMARCDB", ROOT / "target" / "release" / "dmarcdb"))
ROUNDS = 3


def record(rng, domain):
    ours = rng.random() < 0.8
    ip = f"192.0.2.{rng.randint(1, 40)}" if ours else ".".join(str(rng.randint(11, 190)) for _ in range(4))
    dkim, spf = ("pass" if rng.random() < (0.97 if ours else 0.2) else "fail" for _ in range(2))
    return f"""  <record>
    <row>
      <source_ip>{ip}</source_ip>
      <count>{rng.randint(1, 300)}</count>
      <policy_evaluated>
        <disposition>none</disposition>
        <dkim>{dkim}</dkim>
        <spf>{spf}</spf>
      </policy_evaluated>
    </row>
    <identifiers>
      <envelope_from>bounce{rng.randint(0, 30)}.{domain}</envelope_from>
      <header_from>{domain}</header_from>
    </identifiers>
    <auth_results>
      <dkim>
        <domain>{domain}</domain>
        <selector>s{rng.randint(1, 4)}</selector>
        <result>{dkim}</result>
      </dkim>
      <spf>
        <domain>{domain}</domain>
        <scope>mfrom</scope>
        <result>{spf}</result>
      </spf>
    </auth_results>
  </record>
"""


def report(rng, number):
    domain = rng.choice(["example.com", "example.org", "example.net"])
    begin = 1785715200 + rng.randrange(7) * 86400
    size = rng.choice([1, 2, 3, 4, 5, 6, 8, 12, 20, 60])
    rows = "".join(record(rng, domain) for _ in range(size))
    return size, f"""<?xml version="1.0" encoding="UTF-8"?>
<feedback>
  <version>1.0</version>
  <report_metadata>
    <org_name>receiver{rng.randrange(8)}.example</org_name>
    <email>dmarc@receiver.example</email>
    <report_id>{number}.{rng.getrandbits(48)}</report_id>
    <date_range>
      <begin>{begin}</begin>
      <end>{begin + 86399}</end>
    </date_range>
  </report_metadata>
  <policy_published>
    <domain>{domain}</domain>
    <adkim>r</adkim>
    <aspf>r</aspf>
    <p>none</p>
    <sp>none</sp>
    <pct>100</pct>
  </policy_published>
{rows}</feedback>
"""


def mail(number, packed):
    body = encodebytes(packed).decode()
    return f"""From: dmarc@receiver.example
To: dmarc@example.com
Subject: Report Domain: example.com Submitter: receiver.example Report-ID: <{number}>
Date: Mon, 10 Aug 2026 04:00:00 +0000
Message-ID: <{number}@receiver.example>
MIME-Version: 1.0
Content-Type: application/gzip; name="receiver.example!example.com!1785715200!1785801599.xml.gz"
Content-Disposition: attachment; filename="receiver.example!example.com!1785715200!1785801599.xml.gz"
Content-Transfer-Encoding: base64

{body}
"""


def corpus(reports):
    rng = random.Random(20260803)
    files = WORK / "files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    records = 0
    with open(WORK / "reports.mbox", "w") as mbox:
        for number in range(reports):
            size, xml = report(rng, number)
            records += size
            packed = gzip.compress(xml.encode(), mtime=0)
            (files / f"{number:05}.xml.gz").write_bytes(packed)
            mbox.write(f"From dmarc@receiver.example Mon Aug 10 04:00:00 2026\n{mail(number, packed)}\n")
    return files, WORK / "reports.mbox", records


def run(command):
    """Processor seconds, seconds, and the output; the peak memory of children only ever grows, so each runs in a fork."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, cwd=WORK)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = [used.ru_utime + used.ru_stime, time.monotonic() - start, used.ru_maxrss / 1000, done.returncode, done.stdout,
                done.stderr[-2000:]]
        with os.fdopen(write, "w") as out:
            json.dump(told, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        cpu, seconds, peak, status, stdout, stderr = json.load(answer)
    os.waitpid(pid, 0)
    if status != 0:
        sys.exit(f"{command}: status {status}\n{stderr}")
    return cpu, seconds, peak, stdout


def dmarcdb(paths, records):
    for end in ["", "-wal", "-shm", ".lock"]:
        (WORK / f"peers.sqlite{end}").unlink(missing_ok=True)
    ran = run([str(DMARCDB), "--db", str(WORK / "peers.sqlite"), "-q", "ingest", "--format", "json", *map(str, paths)])
    assert json.loads(ran[3])["records"] == records, ran[3]
    return ran


def parsedmarc(paths, records):
    out = WORK / "out"
    shutil.rmtree(out, ignore_errors=True)
    ran = run([str(WORK / "venv" / "bin" / "parsedmarc"), "--offline", "-o", str(out), *map(str, paths)])
    found = sum(len(report["records"]) for report in json.loads((out / "aggregate.json").read_text()))
    if found != records:
        print(f"parsedmarc found {found} records of {records}", file=sys.stderr)
    return ran


DOVECOT = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
listen = 127.0.0.1
protocols = imap
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
disable_plaintext_auth = no
ssl = no
first_valid_uid = 1
mail_location = maildir:{dir}/Maildir
mail_uid = {user}
mail_gid = {group}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {dir}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={dir}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  user = {user}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class Dovecot:
    """A server on loopback with all mails in the INBOX of `alice`."""

    def __init__(self, mbox):
        # In /tmp: the paths of its sockets may not be long.
        self.dir = Path(tempfile.mkdtemp(prefix="dm", dir="/tmp"))
        user = pwd.getpwnam("dovecot") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        group = grp.getgrgid(user.pw_gid).gr_name
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for name in ["run", "state", "Maildir/new", "Maildir/cur", "Maildir/tmp"]:
            (self.dir / name).mkdir(parents=True)
        (self.dir / "users").write_text("alice:{PLAIN}alice-pw\n")
        settings = DOVECOT.format(dir=self.dir, user=user.pw_name, group=group, port=self.port)
        (self.dir / "dovecot.conf").write_text(settings)
        mails = re.split(r"(?m)^From dmarc@receiver\.example .*\n", mbox.read_text())[1:]
        for number, text in enumerate(mails):
            (self.dir / "Maildir" / "new" / f"{1700000000 + number}.M{number}P1.peers").write_text(text)
        os.chmod(self.dir, 0o755)
        if os.getuid() == 0:
            for path in [self.dir, *self.dir.rglob("*")]:
                os.chown(path, user.pw_uid, user.pw_gid)
        self.child = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.dir / "dovecot.conf")],
                                      stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as there:
                    there.recv(100)
                return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"dovecot does not start: {(self.dir / 'dovecot.log').read_text()}")

    def stop(self):
        os.killpg(self.child.pid, signal.SIGTERM)
        self.child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def dmarcdb_imap(server, records):
    for end in ["", "-wal", "-shm", ".lock"]:
        (WORK / f"peers.sqlite{end}").unlink(missing_ok=True)
    (WORK / "password").write_text("alice-pw\n")
    os.chmod(WORK / "password", 0o600)
    (WORK / "config.toml").write_text(
        f'[[account]]\nname = "peers"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\nuser = "alice"\n'
        f'password_file = "{WORK}/password"\nfolders = ["INBOX"]\nafter = "keep"\n')
    ran = run([str(DMARCDB), "--db", str(WORK / "peers.sqlite"), "--config", str(WORK / "config.toml"), "-q", "fetch",
               "--format", "json"])
    assert json.loads(ran[3])["records"] == records, ran[3]
    return ran


def parsedmarc_imap(server, records):
    out = WORK / "out"
    shutil.rmtree(out, ignore_errors=True)
    # `test` leaves the mail where it is, so that every round finds it.
    (WORK / "parsedmarc.ini").write_text(
        f"[general]\nsave_aggregate = True\noutput = {out}\noffline = True\n"
        f"[imap]\nhost = 127.0.0.1\nport = {server.port}\nssl = False\nuser = alice\npassword = alice-pw\n"
        "[mailbox]\nreports_folder = INBOX\nwatch = False\ntest = True\nbatch_size = 0\n")
    ran = run([str(WORK / "venv" / "bin" / "parsedmarc"), "-c", str(WORK / "parsedmarc.ini")])
    found = sum(len(report["records"]) for report in json.loads((out / "aggregate.json").read_text()))
    if found != records:
        print(f"parsedmarc found {found} records of {records}", file=sys.stderr)
    return ran


def table(name, programs, given, records):
    best = {}
    for _ in range(ROUNDS):
        for label, program in programs:
            cpu, seconds, peak, _ = program(given, records)
            known = best.get(label, (1e9, 1e9, 0))
            best[label] = (min(cpu, known[0]), min(seconds, known[1]), max(peak, known[2]))
    for label, figures in best.items():
        print(f"| {name} | {label} | {figures[0]:.2f} | {figures[1]:.2f} | {figures[2]:.0f} |")
    ours, theirs = best["dmarcdb"], best["parsedmarc"]
    print(f"| | ratio | {theirs[0] / ours[0]:.0f} | {theirs[1] / ours[1]:.0f} | {theirs[2] / ours[2]:.1f} |", flush=True)


def as_mail(path):
    """A sample that is a file, attached to a mail as reporters attach it: mail-auth reads mail."""
    kinds = {".xml": ("application", "xml"), ".zip": ("application", "zip"), ".gz": ("application", "gzip")}
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "dmarc@receiver.example", "dmarc@example.com", path.name
    message.set_content("An aggregate report.")
    kind, subtype = kinds[path.suffix]
    message.add_attachment(path.read_bytes(), maintype=kind, subtype=subtype, filename=path.name)
    return message.as_bytes()


def readers(mbox):
    """Both readers in memory: seconds for the corpus, and what each makes of the samples."""
    theirs = ROOT / "benches" / "peers" / "mail-auth" / "Cargo.toml"
    subprocess.run(["cargo", "build", "-q", "--release", "--locked", "--manifest-path", str(theirs),
                    "--target-dir", str(WORK / "mail-auth")], check=True)
    mail_auth = [str(WORK / "mail-auth" / "release" / "mail-auth-reader")]
    ours = ["cargo", "bench", "-q", "--locked", "--bench", "ingest", "--", "--read"]

    def read(command, folder):
        done = subprocess.run([*command, str(folder)], capture_output=True, text=True, cwd=ROOT)
        if done.returncode != 0:
            sys.exit(f"{command}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    folder = WORK / "mails"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, text in enumerate(re.split(r"(?m)^From dmarc@receiver\.example .*\n", mbox.read_text())[1:]):
        (folder / f"{number:05}.eml").write_text(text)
    pairs = [(read(ours, folder), read(mail_auth, folder)) for _ in range(ROUNDS)]
    seconds = [min(pair[one]["seconds"] for pair in pairs) for one in [0, 1]]
    found = [sum(count for count in pairs[0][one]["files"].values() if isinstance(count, int)) for one in [0, 1]]
    print(f"\n| reader, in memory | ms | records |\n|---|---|---|\n| dmarcdb | {seconds[0] * 1e3:.0f} | {found[0]} |")
    print(f"| mail-auth 0.13.3 | {seconds[1] * 1e3:.0f} | {found[1]} |\n| ratio | {seconds[1] / seconds[0]:.2f} | |")

    shutil.rmtree(folder)
    folder.mkdir()
    for path in sorted((ROOT / "samples" / "mail").glob("aggregate-*")):
        (folder / f"{path.name}").write_bytes(path.read_bytes() if path.suffix == ".eml" else as_mail(path))
    ours, theirs = read(ours, folder)["files"], read(mail_auth, folder)["files"]
    print("\n| sample | dmarcdb, records | mail-auth |\n|---|---|---|")
    for name, count in ours.items():
        if count != theirs[name]:
            print(f"| {name} | {count} | {theirs[name]} |")


def main():
    reports = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    WORK.mkdir(parents=True, exist_ok=True)
    if not (WORK / "venv" / "bin" / "parsedmarc").exists():
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "venv")], check=True)
        subprocess.run([str(WORK / "venv" / "bin" / "pip"), "install", "-q", PARSEDMARC], check=True)
    files, mbox, records = corpus(reports)
    print(f"{reports} reports, {records} records; {PARSEDMARC}; best of {ROUNDS} rounds in turns\n")
    print("| input | | processor s | clock s | peak MB |\n|---|---|---|---|---|")
    programs = [("dmarcdb", dmarcdb), ("parsedmarc", parsedmarc)]
    table("files, .xml.gz", programs, sorted(files.iterdir()), records)
    table("mbox", programs, [mbox], records)
    server = Dovecot(mbox)
    try:
        table("IMAP", [("dmarcdb", dmarcdb_imap), ("parsedmarc", parsedmarc_imap)], server, records)
    finally:
        server.stop()
    readers(mbox)


if __name__ == "__main__":
    main()
