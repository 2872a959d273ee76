//! A real DNS server on loopback (Debian's nsd), started and stopped by the test that uses it, and two that do not behave.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

const BINARY: &str = "/usr/sbin/nsd";

/// A running server that knows the whole name space: what is not in its zone is not there. It is killed, and its files are
/// removed, when this is dropped.
pub struct Nameserver {
    child: Child,
    /// Where it answers, by UDP and TCP.
    pub address: SocketAddr,
    _dir: TempDir,
}

impl Nameserver {
    /// Starts one with these lines of a zone file, in which names are written in full, without the dot at the end of those
    /// on the left. What is below `servfail.test` is answered with SERVFAIL. Answers longer than 512 bytes are cut short, so
    /// that TCP is needed. Panics when nsd is not installed.
    pub fn start(zone: &str) -> Nameserver {
        assert!(
            Path::new(BINARY).exists(),
            "{BINARY} is missing; as root: apt-get install --no-install-recommends nsd"
        );
        let mut why = String::new();
        // Another test may take the port before it is used.
        for _ in 0..5 {
            match Self::try_start(zone) {
                Ok(server) => return server,
                Err(log) => why = log,
            }
        }
        panic!("nsd does not start:\n{why}");
    }

    fn try_start(zone: &str) -> Result<Nameserver, String> {
        let dir = tempfile::Builder::new().prefix("dn").tempdir_in("/tmp").expect("a folder in /tmp");
        let address = free();
        let path = dir.path().display();
        let mut text =
            String::from("$ORIGIN .\n$TTL 60\n. SOA ns.test. hostmaster.test. 1 60 60 60 60\n. NS ns.test.\n");
        text.push_str(zone);
        fs::write(dir.path().join("root.zone"), text).unwrap();
        let configuration = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n port: {port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{path}\"\n \
             database: \"\"\n zonelistfile: \"{path}/zone.list\"\n pidfile: \"{path}/nsd.pid\"\n xfrdfile: \"{path}/xfrd\"\n \
             xfrdir: \"{path}\"\n server-count: 1\n ipv4-edns-size: 512\n rrl-ratelimit: 0\n\
             remote-control:\n control-enable: no\n\
             zone:\n name: \".\"\n zonefile: root.zone\nzone:\n name: \"servfail.test\"\n zonefile: missing.zone\n",
            port = address.port()
        );
        let file = dir.path().join("nsd.conf");
        fs::write(&file, configuration).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(BINARY)
            .arg("-d")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let server = Nameserver { child, address, _dir: dir };
        if server.answers() {
            return Ok(server);
        }
        Err(fs::read_to_string(server._dir.path().join("log")).unwrap_or_default())
    }

    /// Asks for the root's SOA until there is an answer.
    fn answers(&self) -> bool {
        let question = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            let _ = socket.send_to(&question, self.address);
            let mut answer = [0; 600];
            if socket.recv(&mut answer).is_ok_and(|bytes| bytes > 12) && answer[3] & 15 == 0 {
                return true;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }

    /// The `[dns]` section that names it.
    pub fn section(&self) -> String {
        format!("[dns]\nserver = \"{}\"\ntimeout_seconds = 5\n", self.address)
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that is free for UDP and TCP.
fn free() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Hands questions on to a server, but for those that have some bytes in them: these get no answer.
pub struct Relay {
    /// Where it listens, for UDP alone.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts one; a question is silent when its name has `silent` in it (one label or a part of it).
    pub fn start(server: SocketAddr, silent: &'static str) -> Relay {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let thread = spawn(move || {
            let mut packet = [0; 4096];
            while !flag.load(Ordering::Relaxed) {
                let Ok((bytes, client)) = socket.recv_from(&mut packet) else { continue };
                let question = packet[..bytes].to_vec();
                if memchr::memmem::find(&question, silent.as_bytes()).is_some() {
                    continue;
                }
                let onward = UdpSocket::bind("127.0.0.1:0").unwrap();
                onward.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                onward.send_to(&question, server).unwrap();
                if let Ok(bytes) = onward.recv(&mut packet) {
                    let _ = socket.send_to(&packet[..bytes], client);
                }
            }
        });
        Relay { address, stop, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
