//! `fetch` beside its floors: a client that asks a real Dovecot on loopback for every message and drops the bytes, and, because
//! that server, reading and keeping share the cores here, the least that all three take on them; and both once more over a
//! line of 100 Mbit/s and 20 ms, where the network is what one waits for. In one run, in turns, without
//! TLS: so the floors are as low as they can be. `cargo bench --bench fetch`; a number says how many messages (20 000 unless
//! said), `--full` adds a mailbox of 100 000 for the memory it takes.

mod bare;
#[path = "../tests/it/support/dovecot.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod dovecot;
mod floor;
#[allow(dead_code, reason = "the generator is complete, whatever is measured")]
mod generate;
#[allow(dead_code, reason = "shared with the other benchmarks")]
mod program;

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use dovecot::Dovecot;
use generate::{Random, Report};
use serde_json::json;

const SEED: u64 = 20_260_803;
const ROUNDS: u32 = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("measures nothing unless run by `cargo bench`");
        return;
    }
    let messages = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fetch");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("target/tmp/fetch");
    let mut figures = vec![compare(&dir, messages)];
    if arguments.iter().any(|argument| argument == "--full") {
        figures.push(memory(&dir, 100_000));
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target").join("fetch.json");
    let text = serde_json::to_string_pretty(&json!({ "seed": SEED, "figures": figures })).expect("JSON");
    fs::write(&path, text + "\n").expect("target/fetch.json");
    println!("written to {}", path.display());
    let _ = fs::remove_dir_all(&dir);
}

/// A server with reports in alice's INBOX, and what the floors need of them.
struct Filled {
    server: Dovecot,
    records: u64,
    bytes: u64,
    texts: Vec<String>,
    reports: Vec<Report>,
}

/// `for_floors`: whether the reports are kept in memory for the floors.
fn server(messages: u64, for_floors: bool) -> Filled {
    let server = Dovecot::start();
    let maildir = server.create_folder("alice", "INBOX");
    let mut random = Random::new(SEED);
    let (mut records, mut bytes, mut texts, mut reports) = (0, 0, Vec::new(), Vec::new());
    for number in 0..messages {
        let mut report = generate::report(&mut random, number, None);
        let mail = generate::mailed(&mut random, &report);
        records += report.rows.len() as u64;
        bytes += mail.len() as u64;
        fs::write(maildir.join("new").join(format!("{}.M{number}P1.bench", 1_700_000_000 + number)), mail)
            .expect("a mail");
        if for_floors {
            texts.push(floor::packed(&report));
            report.xml = Vec::new();
            reports.push(report);
        }
    }
    // Gives all of it to the user of the server.
    server.create_folder("alice", "INBOX");
    Filled { server, records, bytes, texts, reports }
}

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    drop(work());
    start.elapsed().as_secs_f64()
}

fn compare(dir: &Path, messages: u64) -> serde_json::Value {
    eprintln!("making {messages} messages …");
    let Filled { server, records, bytes, texts, reports } = server(messages, true);
    let db = dir.join("floor.sqlite");
    let sums = floor::sums(&db, &reports);
    // The first to come moves the mail from new to cur and writes the index.
    bare(server.imap);
    let most = f64::MAX;
    let (mut transfer, mut serving, mut read, mut insert, mut ours, mut peak) = (most, most, most, most, most, 0);
    for _ in 0..ROUNDS {
        let before = processor(&server);
        transfer = transfer.min(seconds(|| assert!(bare(server.imap) >= bytes)));
        thread::sleep(Duration::from_millis(200));
        serving = serving.min(processor(&server) - before);
        let ran = fetch(dir, server.imap, messages, records);
        ours = ours.min(ran.seconds);
        peak = peak.max(ran.peak);
        read = read.min(seconds(|| floor::bare_read(&texts, 1)));
        insert = insert.min(seconds(|| floor::bare_insert(&db, &reports, &sums)));
    }
    let cores = floor::cores();
    let floor = transfer.max(insert).max((serving + read + insert) / cores as f64);
    println!("fetch of {messages} messages, {records} records, {:.1} MB", bytes as f64 / 1e6);
    println!("  dmarcdb {ours:.2} s, peak {:.1} MB", peak as f64 / 1e6);
    println!(
        "  bare transfer {transfer:.2} s ({serving:.2} s of processor): ratio {:.2} (target <= 1.2)",
        ours / transfer
    );
    println!(
        "  the least for transfer, reading ({read:.2} s) and inserting ({insert:.2} s) on {cores} cores: {floor:.2} s, ratio {:.2}",
        ours / floor
    );
    let line = relay(server.imap);
    let (mut slow, mut slow_ours) = (f64::MAX, f64::MAX);
    for _ in 0..2 {
        slow = slow.min(seconds(|| assert!(bare(line) >= bytes)));
        slow_ours = slow_ours.min(fetch(dir, line, messages, records).seconds);
    }
    println!(
        "  over a line of 100 Mbit/s and 20 ms: dmarcdb {slow_ours:.2} s, bare transfer {slow:.2} s, ratio {:.2} (target <= 1.2)",
        slow_ours / slow
    );
    json!({"figure": format!("fetch {messages} messages"), "unit": "s", "measured": ours, "floor": floor,
        "over_a_line": {"measured": slow_ours, "bare_transfer": slow, "ratio": slow_ours / slow},
        "ratio": ours / floor, "bare_transfer": transfer, "ratio_to_bare_transfer": ours / transfer,
        "serving_processor": serving, "bare_read": read, "bare_insert": insert, "cores": cores, "peak_bytes": peak,
        "target": "ratio_to_bare_transfer <= 1.2"})
}

/// Processor seconds of the server and of this process, which is the bare client.
fn processor(server: &Dovecot) -> f64 {
    server.processes().chain([std::process::id()]).filter_map(program::processor_seconds_of).sum()
}

fn memory(dir: &Path, messages: u64) -> serde_json::Value {
    eprintln!("making {messages} messages …");
    let Filled { server, records, .. } = server(messages, false);
    let ran = fetch(dir, server.imap, messages, records);
    let megabytes = ran.peak as f64 / 1e6;
    println!("fetch of {messages} messages: {:.1} s, peak {megabytes:.1} MB (target < 100)", ran.seconds);
    json!({"figure": format!("fetch {messages} messages, peak memory"), "unit": "MB", "measured": megabytes, "target": "< 100"})
}

/// Fetches everything into a fresh database.
fn fetch(dir: &Path, port: u16, messages: u64, records: u64) -> program::Ran {
    let db = dir.join("fetch.sqlite");
    program::remove(&db);
    fs::write(dir.join("password"), "alice-pw\n").expect("a password");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(dir.join("password"), mode).expect("a mode");
    let config = dir.join("config.toml");
    let text = format!(
        "[[account]]\nname = \"bench\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n\
         user = \"alice\"\npassword_file = {:?}\nfolders = [\"INBOX\"]\nafter = \"keep\"\n",
        port,
        dir.join("password")
    );
    fs::write(&config, text).expect("a configuration");
    let config = config.to_str().expect("UTF-8");
    let ran = program::run(&db, &["--config", config, "-q", "fetch", "--format", "json"]);
    let tally = ran.json();
    assert_eq!((tally["messages"].as_u64(), tally["records"].as_u64()), (Some(messages), Some(records)), "{tally}");
    ran
}

/// Bytes a second, and the time of a round trip, of the line.
const LINE: (f64, Duration) = (12.5e6, Duration::from_millis(20));

/// A port that leads to `port` over such a line.
fn relay(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let own = listener.local_addr().expect("a port").port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a client");
            let server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from, to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
            thread::spawn(move || carry(from, to, f64::INFINITY, LINE.1));
            thread::spawn(move || carry(server, client, LINE.0, Duration::ZERO));
        }
    });
    own
}

/// Carries bytes at a rate, each piece after a delay, until one side has ended.
fn carry(mut from: TcpStream, mut to: TcpStream, rate: f64, delay: Duration) {
    let mut buffer = vec![0; 16 << 10];
    let mut free_at = Instant::now();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        free_at = free_at.max(Instant::now()) + Duration::from_secs_f64(count as f64 / rate);
        thread::sleep((free_at + delay).saturating_duration_since(Instant::now()));
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// The least a client can do: one command for all messages, and no look at what comes. Its bytes.
fn bare(port: u16) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let mut from = BufReader::with_capacity(64 << 10, stream.try_clone().expect("a socket"));
    let mut line = String::new();
    from.read_line(&mut line).expect("a greeting");
    for command in ["a1 LOGIN alice alice-pw", "a2 EXAMINE INBOX"] {
        write!(stream, "{command}\r\n").expect("a command");
        while !line.starts_with(&command[..2]) {
            line.clear();
            from.read_line(&mut line).expect("an answer");
        }
        assert!(line.contains(" OK"), "{line}");
    }
    write!(stream, "a3 UID FETCH 1:* (UID INTERNALDATE BODY.PEEK[])\r\n").expect("a command");
    let (mut bytes, mut dropped) = (0, vec![0; 64 << 10]);
    loop {
        line.clear();
        from.read_line(&mut line).expect("an answer");
        if line.starts_with("a3 ") {
            assert!(line.starts_with("a3 OK"), "{line}");
            return bytes;
        }
        let literal = line.trim_end().strip_suffix('}').and_then(|line| line.rsplit_once('{')?.1.parse::<u64>().ok());
        let mut left = literal.unwrap_or(0);
        bytes += left;
        while left > 0 {
            let most = dropped.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= from.read(&mut dropped[..most]).expect("a message") as u64;
        }
    }
}
