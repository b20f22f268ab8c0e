//! Where, when and of what a run was made.

use std::fs;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::paths;
use crate::suite::PACKAGE;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub os: String,
    pub rustc: String,
    /// Of the day, in UTC.
    pub date: String,
    /// With a `+` if there were changes on top of it.
    pub commit: String,
    /// What else was measured: names and versions.
    pub peers: Vec<String>,
}

/// What the benches depend on without measuring it.
const TOOLS: [&str; 2] = ["allocation-counter", "criterion"];

const UNKNOWN: &str = "unknown";

impl Machine {
    /// This one, now.
    pub fn look() -> Self {
        let changed = said("git", &["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
        let commit = said("git", &["rev-parse", "--short=10", "HEAD"]).unwrap_or_else(|| UNKNOWN.into());
        Self {
            cpu: cpu().unwrap_or_else(|| UNKNOWN.into()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            rustc: said("rustc", &["--version"]).unwrap_or_else(|| UNKNOWN.into()),
            date: day(SystemTime::now()),
            commit: if changed { format!("{commit}+") } else { commit },
            peers: output("cargo", &TREE).map(|tree| peers(&tree)).unwrap_or_default(),
        }
    }
}

const TREE: [&str; 10] =
    ["tree", "--package", PACKAGE, "--edges", "dev", "--depth", "1", "--prefix", "none", "--format={p}"];

/// The packages that `cargo tree` lists, without those of this workspace.
fn peers(tree: &str) -> Vec<String> {
    let named = |line: &str| {
        let (name, version) = line.split_once(" v")?;
        let is_peer = !TOOLS.contains(&name) && !version.contains(' ');
        is_peer.then(|| format!("{name} {version}"))
    };
    tree.lines().filter_map(named).collect()
}

fn cpu() -> Option<String> {
    match fs::read_to_string("/proc/cpuinfo") {
        Ok(info) => model_name(&info),
        Err(_) => said("sysctl", &["-n", "machdep.cpu.brand_string"]),
    }
}

fn model_name(cpuinfo: &str) -> Option<String> {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map(|(_, name)| name.trim().into())
}

fn day(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().chars().take_while(|&c| c != 'T').collect()
}

/// The first line that a program answers.
fn said(program: &str, args: &[&str]) -> Option<String> {
    output(program, args).map(|text| text.lines().next().unwrap_or_default().trim().into())
}

/// What a program answers, if there is such a program and it is content.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(paths::root()).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    impl Machine {
        pub fn made_up() -> Self {
            Self {
                cpu: "Abacus <7>".into(),
                cores: 2,
                os: "linux x86_64".into(),
                rustc: "rustc 1.85.0".into(),
                date: "2026-01-31".into(),
                commit: "0123456789".into(),
                peers: vec!["kanal 0.1.1".into(), "tokio 1.54.0".into()],
            }
        }
    }

    #[test]
    fn the_model_is_found_among_the_rest() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.50GHz\nflags\t\t: fpu\n";
        assert_eq!(model_name(cpuinfo).as_deref(), Some("Some CPU @ 2.50GHz"));
        assert_eq!(model_name("processor\t: 0\n"), None);
    }

    #[test]
    fn peers_are_neither_tools_nor_our_own() {
        let tree =
            "benches v0.0.0 (somewhere)\nkanal v0.1.1\ncriterion v0.8.2\nours v0.1.0 (somewhere)\ntokio v1.54.1\n";
        assert_eq!(peers(tree), ["kanal 0.1.1", "tokio 1.54.1"]);
    }

    #[test]
    fn a_day_is_without_its_hours() {
        assert_eq!(day(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 365)), "1971-01-01");
    }

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(said("no-such-program-anywhere", &[]), None);
    }
}
