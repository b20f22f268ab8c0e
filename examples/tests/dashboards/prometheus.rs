//! A Prometheus of our own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::expressions::Expression;
use crate::support::scratch::Scratch;

pub(crate) fn is_installed() -> bool {
    Command::new("prometheus").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// It ends, and its data goes, when this is dropped.
pub(crate) struct Prometheus {
    process: Child,
    address: String,
    _files: Scratch,
}

impl Prometheus {
    /// It scrapes these addresses each second, and knows the alerts.
    pub(crate) fn start(targets: &[&str]) -> Self {
        let files = Scratch::new();
        let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/alerts.yml");
        // JSON is YAML.
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [alerts],
            "scrape_configs": [{ "job_name": "examples", "static_configs": [{ "targets": targets }] }],
        });
        let path = files.0.join("prometheus.yml");
        fs::write(&path, config.to_string()).expect("it can be written");
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", files.0.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let listening = lines.find_map(|line| Some(line.split_once("msg=\"Listening on\" address=")?.1.to_owned()));
        let address = listening.expect("Prometheus ended before it listened");
        lines.find(|line| line.contains("Server is ready")).expect("Prometheus ended before it was ready");
        // Whatever else it has to say is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, _files: files }
    }

    /// The names of the rules that it has loaded, all of them well.
    pub(crate) fn rules(&self) -> Vec<String> {
        let answer = self.get("/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().expect("groups");
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let name = |rule: &Value| {
            assert_ne!(rule["health"], "err", "{rule}");
            rule["name"].as_str().expect("a rule has a name").to_owned()
        };
        rules.map(name).collect()
    }

    /// Whether the expression says anything yet. That it can be parsed is asserted.
    pub(crate) fn has_data(&self, Expression { name, text }: &Expression) -> bool {
        let query: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={query}"));
        assert_eq!(answer["status"], "success", "{name}: {text}: {answer}");
        !answer["data"]["result"].as_array().expect("a result").is_empty()
    }

    fn get(&self, path: &str) -> Value {
        let mut connection = TcpStream::connect(&self.address).expect("it listens");
        // The old protocol, in which an answer comes in one piece.
        write!(connection, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers text");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
