//! Forged complaints and bounces, mailed to where feedback loops write to and fetched from a real server: whatever they
//! claim, the list that is exported does not move, and nobody is lost from it either.

use crate::support::dovecot::Dovecot;
use crate::support::run::{Place, Ran};

const STRANGER: &str = "stranger@victim.example";

/// A mailbox at our own server, which writes `Authentication-Results: mx.example.com` on top of what it takes in.
struct Site {
    place: Place,
    server: Dovecot,
}

impl Site {
    fn new() -> Site {
        let (place, server) = (Place::new(), Dovecot::start());
        let text = format!(
            "own_domains = [\"example.com\"]\nauthserv_id = \"mx.example.com\"\n[[account]]\nname = \"alice\"\n\
             host = \"localhost\"\nport = {}\ntls = \"tls\"\nca_file = {:?}\nuser = \"alice\"\npassword_env = \"ALICE_PW\"\n\
             folders = [\"INBOX\"]\n",
            server.imaps,
            server.ca_file(),
        );
        place.write("config.toml", text);
        Site { place, server }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["--config", "config.toml"];
        all.extend(arguments);
        self.place.command(&all).env("ALICE_PW", "alice-pw").output().unwrap().into()
    }

    fn mail(&self, message: &str) {
        self.server.deliver("alice", "INBOX", message.replace('\n', "\r\n").as_bytes());
        self.run(&["-q", "fetch"]).expect(0);
    }

    /// Every address with what is exported of it, in every format that holds addresses.
    fn exports(&self) -> Vec<String> {
        let formats = ["csv", "plain", "ses-ndjson", "postfix"];
        let export = |format: &&str| self.run(&["suppress", "export", "--format", format]).expect(0).stdout;
        formats.iter().map(export).collect()
    }
}

/// A complaint about our mail to `person`, under `head`.
fn complaint(head: &str, person: &str) -> String {
    format!(
        "{head}To: fbl@example.com
Subject: FW: offers
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: text/plain

A complaint.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Yahoo!-Mail-Feedback/2.0
Version: 0.1
Original-Rcpt-To: {person}
Source-IP: 192.0.2.1

--b
Content-Type: message/rfc822

From: news@example.com
To: {person}
Message-ID: <{}.{person}>
Subject: offers

Offers
--b--
",
        head.len()
    )
}

const YAHOO: &str = "From: feedback@arf.mail.yahoo.com\n";
const PASS: &str = "dkim=pass header.d=arf.mail.yahoo.com; dmarc=pass header.from=arf.mail.yahoo.com";

fn bounce(head: &str, person: &str) -> String {
    format!(
        "{head}From: mailer-daemon@mx.example.com
To: news@example.com
Subject: Undelivered Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

No such user.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {person}
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

From: news@example.com
To: {person}
Message-ID: <bounced.{}@example.com>

--b--
",
        head.len()
    )
}

#[test]
fn a_forged_complaint_moves_no_export() {
    let site = Site::new();
    let own = |result: &str| format!("Authentication-Results: mx.example.com; {result}\n");
    site.mail(&complaint(&format!("{}{YAHOO}", own(PASS)), "annoyed@people.example"));
    let before = site.exports();
    assert!(before.iter().all(|export| export.contains("annoyed@people.example")), "a genuine one acts: {before:?}");

    let failed = own("dkim=none; dmarc=fail header.from=arf.mail.yahoo.com");
    for forged in [
        complaint(YAHOO, STRANGER),
        complaint(&format!("Authentication-Results: mx.evil.example; {PASS}\n{YAHOO}"), STRANGER),
        // What the forger wrote stands below what our own server wrote.
        complaint(&format!("{failed}{}{YAHOO}", own(PASS)), STRANGER),
        complaint(&format!("{failed}{YAHOO}"), STRANGER),
        // Authenticated, and nobody who sends complaints.
        complaint(
            &format!(
                "{}From: fbl@evil.example\n",
                own("dkim=pass header.d=evil.example; dmarc=pass header.from=evil.example")
            ),
            STRANGER,
        ),
        // The name of a feedback loop, in the wrong place.
        complaint(
            &format!(
                "{}From: \"feedback@arf.mail.yahoo.com\" <x@evil.example>\n",
                own(
                    "dkim=pass header.d=arf.mail.yahoo.com; dkim=pass header.d=evil.example; dmarc=pass header.from=evil.example"
                )
            ),
            STRANGER,
        ),
        bounce("", STRANGER),
        bounce(
            "Received: from evil.example (evil.example [192.0.2.66])\n\tby mx.example.com (Postfix) with ESMTP id 1; x\n",
            STRANGER,
        ),
        bounce(&failed, STRANGER),
        format!(
            "From: {STRANGER}\nTo: unsubscribe@example.com\nSubject: unsubscribe\nX-Apple-Unsubscribe: true\n\nunsubscribe\n"
        ),
    ] {
        site.mail(&forged);
        assert_eq!(site.exports(), before, "after\n{forged}");
    }
    let waiting = site.run(&["suppress", "list", "--include-pending", "--format", "csv"]).expect(0).stdout;
    assert!(waiting.lines().any(|line| line.starts_with(STRANGER) && line.ends_with(",pending")), "{waiting}");
    let why = site.run(&["suppress", "why", STRANGER]).expect(0).stdout;
    assert!(
        why.starts_with(&format!("{STRANGER} is not suppressed.")) && why.contains("waits for a decision"),
        "{why}"
    );
    let senders = site.run(&["trust", "review", "--format", "csv"]).expect(0).stdout;
    assert!(senders.contains("evil.example"), "{senders}");

    // A person may believe a sender, once, and take that back.
    site.run(&["-q", "trust", "add", "fbl@evil.example", "--reason", "a test", "--author", "mia"]).expect(0);
    assert!(site.exports().iter().all(|export| export.contains(STRANGER)));
    site.run(&["-q", "trust", "remove", "fbl@evil.example", "--author", "mia"]).expect(0);
    assert_eq!(site.exports(), before);
}

/// Suppressions may be limited to lists; those that are there follow when that is changed.
#[test]
fn who_leaves_a_list_may_stay_on_another() {
    let site = Site::new();
    let head = format!("Authentication-Results: mx.example.com; {PASS}\n{YAHOO}");
    let of_list =
        complaint(&head, "annoyed@people.example").replace("Subject: offers", "List-Id: Offers <Offers.example.com>");
    site.mail(&of_list);
    site.mail(&complaint(&head, "unnamed@people.example"));
    let scopes = || site.run(&["suppress", "export", "--format", "csv"]).expect(0).stdout;
    let has = |text: &str, line: &str| assert!(text.contains(line), "no {line} in\n{text}");
    has(&scopes(), "annoyed@people.example,abuse,example.com,");
    let config = std::fs::read_to_string(site.place.path("config.toml")).unwrap();
    site.place.write("config.toml", format!("suppress_by = \"stream\"\n{config}"));
    site.run(&["-q", "fetch"]).expect(0);
    let by_stream = scopes();
    has(&by_stream, "annoyed@people.example,abuse,offers.example.com,");
    has(&by_stream, "unnamed@people.example,abuse,,");
    assert_eq!(by_stream.lines().count(), 3, "{by_stream}");
    site.place.write("config.toml", config);
    site.run(&["-q", "fetch"]).expect(0);
    has(&scopes(), "annoyed@people.example,abuse,example.com,");
    assert_eq!(scopes().lines().count(), 3);
}

#[test]
fn a_bounce_that_our_own_server_wrote_acts() {
    let site = Site::new();
    let received = "Received: by mx.example.com (Postfix)\n\tid 4711; Wed, 05 Aug 2026 13:00:00 +0000 (UTC)\n";
    site.mail(&bounce(received, "gone@people.example"));
    assert!(site.exports().iter().all(|export| export.contains("gone@people.example")));
    let why = site.run(&["suppress", "why", "gone@people.example"]).expect(0).stdout;
    assert!(why.contains("hard_bounce (5.1.1)") && why.contains("by bounce 1"), "{why}");
}
