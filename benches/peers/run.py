#!/usr/bin/env python3
"""dmarcdb beside parsedmarc: the same generated reports, on the same machine, in the same run, as files and as an mbox.

    python3 benches/peers/run.py [REPORTS]

Makes a virtual environment under target/peers with the pinned parsedmarc from PyPI, writes seeded reports, lets both read them
in turns, checks that both found every record, and prints a table of processor seconds, seconds on the clock and peak memory.
parsedmarc runs with --offline: no look-ups of names, which dmarcdb does not do while it reads either.
"""

import gzip
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from base64 import encodebytes
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


def main():
    reports = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    WORK.mkdir(parents=True, exist_ok=True)
    if not (WORK / "venv" / "bin" / "parsedmarc").exists():
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "venv")], check=True)
        subprocess.run([str(WORK / "venv" / "bin" / "pip"), "install", "-q", PARSEDMARC], check=True)
    files, mbox, records = corpus(reports)
    print(f"{reports} reports, {records} records; {PARSEDMARC}; best of {ROUNDS} rounds in turns\n")
    print("| input | | processor s | clock s | peak MB |\n|---|---|---|---|---|")
    for name, paths in [("files, .xml.gz", sorted(files.iterdir())), ("mbox", [mbox])]:
        best = {}
        for _ in range(ROUNDS):
            for program in [dmarcdb, parsedmarc]:
                cpu, seconds, peak, _ = program(paths, records)
                known = best.get(program.__name__, (1e9, 1e9, 0))
                best[program.__name__] = (min(cpu, known[0]), min(seconds, known[1]), max(peak, known[2]))
        for program, figures in best.items():
            print(f"| {name} | {program} | {figures[0]:.2f} | {figures[1]:.2f} | {figures[2]:.0f} |")
        ours, theirs = best["dmarcdb"], best["parsedmarc"]
        print(f"| | ratio | {theirs[0] / ours[0]:.0f} | {theirs[1] / ours[1]:.0f} | {theirs[2] / ours[2]:.1f} |")


if __name__ == "__main__":
    main()
