//! An example that runs until it is told to end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A process. It is killed if the test fails first.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    printed: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the example runs");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, stdout, printed: String::new() }
    }

    /// The next line that contains `words`.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        loop {
            let begin = self.printed.len();
            let read = self.stdout.read_line(&mut self.printed).expect("it prints text");
            assert!(read > 0, "it ended without {words:?}: {}", self.printed);
            if self.printed[begin..].contains(words) {
                return self.printed[begin..].to_owned();
            }
        }
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "SIGTERM could not be sent");
    }

    /// The most memory that it ever had in use, where that can be known.
    pub(crate) fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// Waits for its end. Answers its exit code, if it exited, and all that it printed.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.stdout.read_to_string(&mut self.printed).expect("it prints text");
        (self.child.wait().expect("it can be waited for").code(), std::mem::take(&mut self.printed))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
