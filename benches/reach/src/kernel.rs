//! What lies in the socket buffers.

use std::fs;

/// Bytes that were written to connections of these ports, and not yet read from them. Zero where there is no `/proc`.
pub fn held(ports: &[u16]) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().skip(1).filter_map(|line| queued(line, ports)).sum()
}

fn queued(line: &str, ports: &[u16]) -> Option<usize> {
    let mut columns = line.split_whitespace().skip(1);
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    let (local, remote) = (port(columns.next()?)?, port(columns.next()?)?);
    const LISTENS: &str = "0A";
    if columns.next()? == LISTENS || !ports.iter().any(|port| [local, remote].contains(port)) {
        return None;
    }
    let (sending, receiving) = columns.next()?.split_once(':')?;
    let bytes = |hex| usize::from_str_radix(hex, 16).ok();
    Some(bytes(sending)? + bytes(receiving)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_queues_of_both_ends_count_and_nobody_elses() {
        let line = |local: &str, state: &str| {
            format!("   0: 0100007F:{local} 0100007F:C350 {state} 00000010:00000200 00:00000000 00000000 0 0 1 1")
        };
        assert_eq!(queued(&line("1F90", "01"), &[8080]), Some(0x210));
        assert_eq!(queued(&line("1F91", "01"), &[50000]), Some(0x210), "the other end");
        assert_eq!(queued(&line("1F91", "01"), &[8080]), None);
        assert_eq!(queued(&line("1F90", "0A"), &[8080]), None, "a listener's queue is connections");
    }
}
