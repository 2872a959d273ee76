//! Writes small files in the MaxMind format (<https://maxmind.github.io/MaxMind-DB/>), as the makers of such files do.

use std::net::IpAddr;

/// A value of an entry.
pub enum Value {
    Text(&'static str),
    Number(u32),
    Short(u16),
    Long(u64),
    EmptyList,
    Map(Vec<(&'static str, Value)>),
}

/// A file for networks (address and prefix length) and their entries. Networks must not hold each other.
pub fn file(entries: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes: Vec<[Option<Target>; 2]> = vec![[None, None]];
    let mut data = Vec::new();
    for (network, value) in entries {
        let (address, length) = network.split_once('/').unwrap();
        let (bits, length) = bits(address.parse().unwrap(), length.parse().unwrap());
        let offset = data.len();
        encode(value, &mut data);
        let mut node = 0;
        for position in 0..length {
            let bit = usize::from(bits >> (127 - position) & 1 == 1);
            if position + 1 == length {
                nodes[node][bit] = Some(Target::Data(offset));
                break;
            }
            node = match nodes[node][bit] {
                Some(Target::Node(next)) => next,
                _ => {
                    nodes.push([None, None]);
                    let next = nodes.len() - 1;
                    nodes[node][bit] = Some(Target::Node(next));
                    next
                }
            };
        }
    }
    let mut file = Vec::new();
    for pair in &nodes {
        for side in pair {
            let record = match side {
                None => nodes.len(),
                Some(Target::Node(node)) => *node,
                Some(Target::Data(offset)) => nodes.len() + 16 + offset,
            };
            file.extend(u32::try_from(record).unwrap().to_be_bytes());
        }
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Value::Map(vec![
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_795_000_000)),
        ("database_type", Value::Text("Test")),
        ("description", Value::Map(Vec::new())),
        ("languages", Value::EmptyList),
        ("ip_version", Value::Short(6)),
        ("node_count", Value::Number(u32::try_from(nodes.len()).unwrap())),
        ("record_size", Value::Short(32)),
    ]);
    encode(&metadata, &mut file);
    file
}

#[derive(Clone, Copy)]
enum Target {
    Node(usize),
    Data(usize),
}

/// In a file for IPv6, IPv4 stands at `::/96`.
fn bits(ip: IpAddr, length: usize) -> (u128, usize) {
    match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), length + 96),
        IpAddr::V6(ip) => (u128::from(ip), length),
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    let text = |text: &str, out: &mut Vec<u8>| {
        match u8::try_from(text.len()).unwrap() {
            length @ ..29 => out.push(2 << 5 | length),
            length => out.extend([2 << 5 | 29, length - 29]),
        }
        out.extend(text.as_bytes());
    };
    match value {
        Value::Text(value) => text(value, out),
        Value::Number(number) => {
            out.push(6 << 5 | 4);
            out.extend(number.to_be_bytes());
        }
        Value::Short(number) => {
            out.push(5 << 5 | 2);
            out.extend(number.to_be_bytes());
        }
        Value::Long(number) => {
            out.extend([8, 2]);
            out.extend(number.to_be_bytes());
        }
        Value::EmptyList => out.extend([0, 4]),
        Value::Map(pairs) => {
            out.push(7 << 5 | u8::try_from(pairs.len()).unwrap());
            for (key, value) in pairs {
                text(key, out);
                encode(value, out);
            }
        }
    }
}
