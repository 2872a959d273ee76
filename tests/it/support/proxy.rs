//! A relay in front of a server that cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// Relays to `port` and returns the port to connect to. The n-th connection is cut after `cuts[n]` bytes from the
/// server; those after the last are left alone.
pub fn cutting(port: u16, cuts: &[usize]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    let cuts = cuts.to_vec();
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let Ok(client) = client else { return };
            // A server that is down may come back.
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let (up_from, up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || relay(up_from, up_to, usize::MAX));
            let cut = cuts.get(number).copied().unwrap_or(usize::MAX);
            thread::spawn(move || relay(server, client, cut));
        }
    });
    here
}

fn relay(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
    let mut buffer = vec![0; 4096];
    while left > 0 {
        let room = left.min(buffer.len());
        let Ok(count @ 1..) = from.read(&mut buffer[..room]) else {
            break;
        };
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        left -= count;
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
