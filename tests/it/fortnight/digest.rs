//! The fortnight as a digest, as a page in a real browser, as metrics and as alarms.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use super::company::{BEGIN, END};
use super::{WINDOW, ask, compare, fortnight, sql, window};
use crate::support::run::{Place, Ran};

fn in_window(place: &Place, command: &str) -> Ran {
    let mut arguments: Vec<&str> = command.split_whitespace().collect();
    arguments.extend(WINDOW);
    ask(place, &[], &arguments)
}

#[test]
fn digests_word_for_word() {
    let place = fortnight();
    let mut wrong = Vec::new();
    for (name, command) in [
        ("digest.txt", "digest"),
        ("digest.html", "digest --format html"),
        ("metrics.txt", "metrics"),
        (
            "watch-for.txt",
            "watch-for --pass-rate-below 95 --complaint-rate-above 0.2 --new-source-above 100 --silence 3d",
        ),
        ("watch-for.csv", "watch-for --pass-rate-below 95 --new-source-above 100 --format csv"),
    ] {
        let found = in_window(&place, command).stdout;
        // When it was written is no part of it.
        let found: String = found
            .lines()
            .filter(|line| !line.starts_with("dmarcdb_generated_timestamp_seconds "))
            .map(|line| format!("{line}\n"))
            .collect();
        compare(name, &found, &mut wrong);
    }
    assert!(wrong.is_empty(), "other than expected, see tests/it/fortnight/expected/NAME.tmp: {wrong:?}");
}

/// Debian's browser without a window, in either of its packages.
fn browser(arguments: &[&str], page: &Path, home: &Path) -> (String, String) {
    for name in ["chromium-headless-shell", "chromium"] {
        let output = Command::new(name)
            .env("HOME", home)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0"])
            .args(arguments)
            .arg(format!("file://{}", page.display()))
            .output();
        if let Ok(output) = output {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            return (text(&output.stdout), text(&output.stderr));
        }
    }
    panic!("there is no chromium-headless-shell: `make test` installs it");
}

/// How often each tag begins.
fn tags(html: &str) -> std::collections::BTreeMap<String, usize> {
    let mut found = std::collections::BTreeMap::new();
    for rest in html.split('<').skip(1).filter(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic())) {
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        *found.entry(name.to_ascii_lowercase()).or_default() += 1;
    }
    found
}

#[test]
fn a_browser_has_nothing_to_mend_and_nothing_to_complain_about() {
    let place = fortnight();
    let html = in_window(&place, "digest --format html").expect(0).stdout;
    let page = place.write("digest.html", &html);
    let (dom, errors) = browser(&["--dump-dom"], &page, place.dir.path());
    assert!(!errors.contains("CONSOLE"), "{errors}");
    assert_eq!(tags(&dom), tags(&html), "the browser mended the page");
    assert!(dom.contains("sources need action") && dom.contains("<svg"));
    for part in ["<script", "http://", "https://", "url(", "<img", "<link", "@import"] {
        assert!(!html.contains(part), "{part}");
    }
    // A page with a script in it is complained about: the guard can fail.
    let bad = place.write("bad.html", html.replace("</body>", "<script>alert(1)</script></body>"));
    let (_, errors) = browser(&["--dump-dom"], &bad, place.dir.path());
    assert!(errors.contains("CONSOLE"), "{errors}");
}

#[test]
fn a_phone_shows_it_without_scrolling_sideways() {
    let place = fortnight();
    let html = in_window(&place, "digest --format html").expect(0).stdout;
    let page = place.write("digest.html", &html);
    let picture = place.path("phone.png");
    let screenshot = format!("--screenshot={}", picture.display());
    browser(&[&screenshot, "--window-size=400,1600", "--hide-scrollbars"], &page, place.dir.path());
    assert!(fs::metadata(&picture).unwrap().len() > 10_000);
    // What the layout comes to is asked of a copy that measures itself, without the policy that forbids scripts.
    let policy = html.find("<meta http-equiv").unwrap();
    let end = policy + html[policy..].find('>').unwrap() + 1;
    let measured = format!("{}{}", &html[..policy], &html[end..]).replace(
        "</body>",
        "<script>document.title = 'wide:' + document.documentElement.scrollWidth + '/' + window.innerWidth</script></body>",
    );
    let page = place.write("measured.html", measured);
    let (dom, _) = browser(&["--dump-dom", "--window-size=400,1600"], &page, place.dir.path());
    let title = dom.split("wide:").nth(1).unwrap().split('<').next().unwrap();
    let (wide, window) = title.split_once('/').unwrap();
    assert!(wide.parse::<u32>().unwrap() <= window.parse::<u32>().unwrap(), "{title}");
}

#[test]
fn metrics_are_the_figures_of_plain_sql() {
    let place = fortnight();
    let text = in_window(&place, "metrics").expect(0).stdout;
    let value = |sample: &str| -> f64 {
        let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == sample));
        line.unwrap_or_else(|| panic!("{sample} in\n{text}")).rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let of = |what: &str| sql::<i64>(&place, &format!("SELECT coalesce(sum(messages), 0) {} {what}", window())) as f64;
    for result in ["pass", "fail"] {
        let sample = format!("dmarcdb_messages{{domain=\"meadow.example\",result=\"{result}\"}}");
        assert_eq!(value(&sample), of(&format!("AND domain = 'meadow.example' AND dmarc = '{result}'")));
    }
    let failing: f64 = ["fix", "new", "threat", "forwarded", "ok"]
        .map(|class| value(&format!("dmarcdb_failing_messages{{class=\"{class}\"}}")))
        .iter()
        .sum();
    assert_eq!(failing, of("AND dmarc = 'fail'"));
    let reports =
        format!("SELECT count(*) FROM v_report WHERE kind = 'aggregate' AND end_at >= {BEGIN} AND end_at < {END}");
    assert_eq!(value("dmarcdb_reports"), sql::<i64>(&place, &reports) as f64);
    assert_eq!(value("dmarcdb_newest_report_timestamp_seconds"), (END - 1) as f64);
    // Every sample has a family of its name, told once.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert_eq!(text.matches(&format!("# TYPE {name} gauge\n")).count(), 1, "{name}");
        assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1, "{name}");
    }
}

#[test]
fn metrics_go_into_a_file_that_is_replaced_whole() {
    let place = fortnight();
    let file = place.write("dmarcdb.prom", "old");
    let ran = in_window(&place, "metrics --output dmarcdb.prom").expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert!(fs::read_to_string(&file).unwrap().starts_with("# HELP dmarcdb_window_seconds "));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(
        fs::read_dir(place.dir.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".tmp"))
            .count(),
        0
    );
    in_window(&place, "metrics --output missing/dmarcdb.prom").expect(73);
    in_window(&place, "digest --html digest.html").expect(0);
    let page = place.path("digest.html");
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(page).unwrap().ends_with("</html>\n"));
}

#[test]
fn alarms_exit_with_1_and_tell_each_finding_on_a_line() {
    let place = fortnight();
    for (options, status, lines) in [
        ("--pass-rate-below 95", 1, 1),
        ("--pass-rate-below 50", 0, 0),
        ("--complaint-rate-above 0.2", 1, 1),
        ("--complaint-rate-above 5", 0, 0),
        ("--new-source-above 100", 1, 1),
        ("--new-source-above 5000", 0, 0),
        // A domain that is heard daily is no silence, a reporter that stopped is.
        ("--silence 3d", 1, 1),
        ("--silence 2w", 0, 0),
        ("--pass-rate-below 100 --domain meadow-shop.example", 1, 1),
        ("--silence 3d --pass-rate-below 95 --new-source-above 100", 1, 3),
    ] {
        // New is what is 20 and more: of the burst no address has sent more.
        let ran = in_window(&place, &format!("watch-for {options}")).expect(status);
        assert_eq!(ran.stdout.lines().count(), lines, "{options}: {}", ran.stdout);
        assert_eq!(ran.stderr, "");
    }
    for (options, part) in [
        ("", "nothing to watch for"),
        ("--pass-rate-below 101", "not between 0 and 100"),
        ("--pass-rate-below x", "not a number"),
        ("--silence x", "`x` is no time"),
    ] {
        let ran = place.run(&format!("watch-for {options}").split_whitespace().collect::<Vec<_>>()).expect(2);
        assert!(ran.stderr.contains(part), "{options}: {}", ran.stderr);
    }
}

#[test]
fn a_digest_is_handed_out_once_and_again_when_something_else_is_found() {
    let place = fortnight();
    let digest = || in_window(&place, "digest --if-changed").expect(0).stdout;
    assert!(digest().contains("sources need action"));
    assert_eq!(digest(), "");
    place.run(&["-q", "label", "198.51.100.50", "--class", "ok"]).expect(0);
    assert!(digest().contains("sources need action"), "a finding less is a change");
    assert_eq!(digest(), "");
    let writer = Connection::open(place.path("db.sqlite")).unwrap();
    writer.execute_batch("UPDATE digest_state SET at = at - 8 * 86400").unwrap();
    assert!(!digest().is_empty(), "the heartbeat");
    assert_eq!(digest(), "");
    assert!(!in_window(&place, "digest").expect(0).stdout.is_empty(), "asked for without --if-changed it always comes");
    // What could not be written was not handed out.
    writer.execute_batch("UPDATE digest_state SET findings = x'00'").unwrap();
    in_window(&place, "digest --if-changed --html missing/digest.html").expect(73);
    in_window(&place, "digest --if-changed --html digest.html").expect(0);
    assert!(place.path("digest.html").exists());
}
