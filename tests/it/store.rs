//! The database file: its schema, its settings, and that what is read comes back out of it.

use rusqlite::Connection;
use serde_json::Value;

use crate::support::run::{Place, report};

/// Tables, indexes and views with their texts, comments and layout aside.
fn schema(connection: &Connection) -> Vec<(String, String, String)> {
    let plain = |sql: &str| {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap());
        lines.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    connection
        .prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, plain(&row.get::<_, String>(2)?))))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_migrated_file_has_the_schema_of_a_fresh_one() {
    let place = Place::new();
    place.write("a.xml", report("a", 1));
    place.run(&["ingest", "a.xml"]).expect(0);
    let document = Connection::open_in_memory().unwrap();
    document.execute_batch(dmarcdb::store::migrations::SCHEMA).unwrap();
    assert_eq!(schema(&place.database()), schema(&document));
}

#[test]
fn every_table_and_column_is_explained() {
    let text = dmarcdb::store::migrations::SCHEMA;
    let mut bare = Vec::new();
    let mut table: Option<&str> = None;
    let mut before = "";
    for line in text.lines() {
        let inner = line.trim();
        if let Some(name) = line.strip_prefix("CREATE TABLE ") {
            table = Some(name.trim_end_matches(" ("));
        } else if line.starts_with(')') {
            table = None;
        } else if let Some(table) = table {
            let column = inner.split_whitespace().next().unwrap_or("");
            let is_column =
                column.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_' || letter.is_ascii_digit());
            // Keys and names that say all there is to say need no comment.
            let plain =
                ["id", "report", "message", "complaint", "bounce", "ordinal", "mailbox", "uid", "account", "folder"];
            let said = inner.contains("--") || before.trim().starts_with("--") || plain.contains(&column);
            let named = [
                "user_agent",
                "version",
                "reporting_mta",
                "original_envelope_id",
                "original_mail_from",
                "source_port",
                "dkim_domain",
                "dkim_identity",
                "dkim_selector",
                "spelled",
                "human_result",
                "domain",
                "kind",
                "seen_at",
                "dkim_set",
                "spf_set",
            ];
            if is_column && !column.is_empty() && !said && !named.contains(&column) {
                bare.push(format!("{table}.{column}"));
            }
        }
        before = line;
    }
    assert!(bare.is_empty(), "without a comment in schema.sql: {bare:?}");
}

#[test]
fn the_file_says_what_it_is_and_how_it_is_kept() {
    let place = Place::new();
    place.write("a.xml", report("a", 1));
    place.run(&["ingest", "a.xml"]).expect(0);
    let database = place.database();
    let pragma = |name: &str| -> String {
        database
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(pragma("application_id"), "Integer(1145914434)");
    assert_eq!(pragma("user_version"), format!("Integer({})", dmarcdb::store::migrations::VERSION));
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    let loose: Vec<String> = database
        .prepare("SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(loose.is_empty(), "not STRICT: {loose:?}");
}

/// Every element of RFC 7489 and RFC 9990 at once.
const FULL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0" xmlns:x="urn:example:x">
  <version>1.0</version>
  <report_metadata>
    <org_name>Receiver &amp; Söhne</org_name><email>dmarc@receiver.example</email>
    <extra_contact_info lang="de">https://receiver.example/hilfe</extra_contact_info>
    <report_id>full-1@receiver.example</report_id>
    <date_range><begin>1755648000</begin><end>1755734399</end></date_range>
    <error lang="en">one DNS lookup failed</error><generator>Example Reporter v1.2</generator>
  </report_metadata>
  <policy_published>
    <domain>Example.COM</domain><discovery_method>treewalk</discovery_method><p>reject</p><sp>quarantine</sp><np>none</np>
    <adkim>s</adkim><aspf>r</aspf><pct>50</pct><fo>1:d</fo><testing>y</testing>
  </policy_published>
  <extension><x:a x:b="1">kept &amp; raw</x:a></extension>
  <record>
    <row>
      <source_ip>2001:DB8::1</source_ip><count>7</count>
      <policy_evaluated>
        <disposition>quarantine</disposition><dkim>fail</dkim><spf>PASS</spf>
        <reason><type>local_policy</type><comment lang="en">arc=pass</comment></reason>
        <reason><type>policy_test_mode</type></reason>
      </policy_evaluated>
    </row>
    <identifiers>
      <header_from>News.example.com</header_from><envelope_from></envelope_from><envelope_to>receiver.example</envelope_to>
    </identifiers>
    <auth_results>
      <dkim><domain>example.com</domain><selector>s1</selector><result>fail</result><human_result lang="en">body hash</human_result></dkim>
      <dkim><domain>esp.example</domain><selector>k2</selector><result>pass</result></dkim>
      <spf><domain>bounce.example.com</domain><scope>mfrom</scope><result>hardfail</result><human_result>no</human_result></spf>
    </auth_results>
  </record>
</feedback>"#;

#[test]
fn every_element_comes_back() {
    let place = Place::new();
    place.write("full.xml", FULL);
    place.run(&["ingest", "full.xml"]).expect(0);
    let reports = place.run(&["reports", "--since", "all", "--format", "json"]).expect(0).json();
    let database = place.database();
    let text = |sql: &str| -> String {
        database.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_else(|| "NULL".into())
    };
    let report: Value = serde_json::from_str(&text(
        "SELECT json_object('org', org_name, 'mail', org_email, 'id', report_id, 'domain', domain, 'begin', begin_at, 'end', end_at, \
         'p', p, 'sp', sp, 'np', np, 'adkim', adkim, 'aspf', aspf, 'pct', pct, 'fo', fo, 'testing', testing, \
         'discovery', discovery_method, 'version', version, 'namespace', namespace, 'generator', generator, \
         'contact', extra_contact_info, 'errors', json(errors), 'records', records, 'messages', messages) FROM v_report",
    ))
    .unwrap();
    let expected = serde_json::json!({
        "org": "Receiver & Söhne", "mail": "dmarc@receiver.example", "id": "full-1@receiver.example",
        "domain": "example.com", "begin": 1755648000, "end": 1755734399, "p": "reject", "sp": "quarantine", "np": "none",
        "adkim": "s", "aspf": "r", "pct": 50, "fo": "1:d", "testing": "y", "discovery": "treewalk", "version": "1.0",
        "namespace": "urn:ietf:params:xml:ns:dmarc-2.0", "generator": "Example Reporter v1.2",
        "contact": "https://receiver.example/hilfe", "errors": [{"text": "one DNS lookup failed", "lang": "en"}],
        "records": 1, "messages": 7,
    });
    assert_eq!(report, expected, "{reports}");
    assert_eq!(text("SELECT contact_lang FROM aggregate"), "de");
    assert_eq!(
        text("SELECT extension FROM aggregate"),
        r#"["<extension><x:a x:b=\"1\">kept &amp; raw</x:a></extension>"]"#
    );
    let record: Value = serde_json::from_str(&text(
        "SELECT json_object('ip', source_ip, 'n', messages, 'disposition', disposition, 'dkim', dkim, 'spf', spf, 'dmarc', dmarc, \
         'from', header_from, 'mail_from', envelope_from, 'to', envelope_to, 'reasons', json(reasons), \
         'dkim_results', json(dkim_results), 'spf_results', json(spf_results)) FROM v_record",
    ))
    .unwrap();
    let expected = serde_json::json!({
        "ip": "2001:db8::1", "n": 7, "disposition": "quarantine", "dkim": "fail", "spf": "pass", "dmarc": "pass",
        "from": "news.example.com", "mail_from": "", "to": "receiver.example",
        "reasons": [{"type": "local_policy", "comment": "arc=pass", "lang": "en"}, {"type": "policy_test_mode", "comment": null, "lang": null}],
        "dkim_results": [
            {"domain": "example.com", "selector": "s1", "result": "fail", "human_result": "body hash"},
            {"domain": "esp.example", "selector": "k2", "result": "pass", "human_result": null},
        ],
        "spf_results": [{"domain": "bounce.example.com", "scope": "mfrom", "result": "fail", "human_result": "no"}],
    });
    assert_eq!(record, expected);
    let spelled =
        text("SELECT group_concat(field || '=' || spelled, ' ') FROM (SELECT * FROM record_spelling ORDER BY field)");
    assert_eq!(spelled, "header_from=News.example.com spf=PASS");
    assert_eq!(text("SELECT spelled FROM spf_result"), "hardfail");
    let codes = text("SELECT group_concat(code, ' ') FROM (SELECT code FROM warning ORDER BY code)");
    assert_eq!(codes, "domain-form enum-alias enum-case");
}

#[test]
fn a_longer_report_than_is_held_in_memory_is_kept_whole() {
    let place = Place::new();
    let short = report("long", 1);
    let at = short.find("<record>").unwrap();
    let end = short.find("</feedback>").unwrap();
    let record = &short[at..end];
    let mut long = short[..at].to_owned();
    for number in 0..40_000 {
        long.push_str(
            &record.replace("192.0.2.1", &format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)),
        );
    }
    long.push_str("</feedback>");
    place.write("long.xml", long);
    let done = place.run(&["ingest", "long.xml", "--format", "json"]).expect(0).json();
    assert_eq!(done["records"], 40_000);
    let counts: (i64, i64, i64) = place
        .database()
        .query_row(
            "SELECT (SELECT records FROM v_report), count(*), count(DISTINCT source_ip) FROM v_record",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(counts, (40_000, 40_000, 40_000));
}
