//! The expressions in `dashboards/`.

use std::fs;
use std::path::Path;

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Expression {
    /// The panel's title, or the alert's name.
    pub(crate) name: String,
    pub(crate) text: String,
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Those of the board's panels, with its variables replaced as Grafana does.
pub(crate) fn of_board() -> Vec<Expression> {
    let board: Value = serde_json::from_str(&read("grafana.json")).expect("the board is JSON");
    let mut found = Vec::new();
    for panel in board["panels"].as_array().expect("a board has panels") {
        for target in panel["targets"].as_array().expect("a panel has targets") {
            let text = target["expr"].as_str().expect("a target has an expression");
            let text = text.replace("$__rate_interval", "10s").replace("$stage", ".*");
            assert!(!text.contains('$'), "a variable is left: {text}");
            let name = panel["title"].as_str().expect("a panel has a title").to_owned();
            found.push(Expression { name, text });
        }
    }
    found
}

/// Those of the alerts. Each compares something with a threshold; what is asked is what the comparison says, true or
/// false, for as a rule there should be nothing to be alarmed about.
pub(crate) fn of_alerts() -> Vec<Expression> {
    let text = read("alerts.yml");
    let values =
        |key: &'static str| text.lines().filter_map(move |line| line.trim_start_matches([' ', '-']).strip_prefix(key));
    let alerts: Vec<_> = values("alert: ").zip(values("expr: ")).collect();
    assert_eq!(alerts.len(), values("alert: ").count(), "each alert has its expression on one line");
    let expression = |(name, text): (&str, &str)| {
        let operators = [" > ", " == "].map(|operator| (operator, text.matches(operator).count()));
        let [(operator, _)] = operators.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()[..] else {
            panic!("{name} compares more or less than once: {text}");
        };
        let (left, right) = text.rsplit_once(operator).expect("it has the operator");
        Expression { name: name.into(), text: format!("{left}{operator}bool {right}") }
    };
    alerts.into_iter().map(expression).collect()
}
