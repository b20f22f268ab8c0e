//! What is tried.

use std::path::Path;

use serde_json::json;

use crate::chromium::Chromium;
use crate::contrast;
use crate::pipeline::Pipeline;

const NAMES: [&str; 3] = ["parse", "enrich", "db"];

/// The states of the nodes, from the source on, as words on the page.
const WORDS: &str =
    "[...document.querySelectorAll('.node .word')].map((word) => word.textContent.split(' ')[0]).join()";

pub(crate) fn stall_and_recovery(browser: &Path) {
    let pipeline = Pipeline::start(NAMES);
    let mut page = Chromium::start(browser, "stall");
    page.look(1280, 1000, "dark");
    page.open(&pipeline.url());
    page.until("document.querySelector('#verdict').textContent.startsWith('Nothing is held up')");
    page.until(&format!("{WORDS} === 'Normal,Normal,Normal'"));
    assert_eq!(page.ask("document.querySelectorAll('.edge').length"), 2);

    pipeline.stall(true);
    page.until(&format!("{WORDS} === 'Blocked,Blocked,Blocked'"));
    page.until(
        "document.querySelector('#verdict').textContent === 'db is busy 100 %; enrich and parse are blocked by it.'",
    );
    assert_eq!(page.ask("document.querySelector('#verdict-kind').textContent"), "Bottleneck");
    assert_eq!(page.ask("document.querySelector('#hero').dataset.state"), "blocked");
    assert_eq!(page.ask("document.querySelector('.node.neck .name').textContent"), "db");
    assert_eq!(page.ask("document.title"), "db is the bottleneck · Pressure");
    assert_eq!(page.ask("document.querySelector('#detail-name').textContent"), "db", "what matters is shown unasked");
    page.until("document.querySelector('#announce').textContent.startsWith('Blocked. db is busy')");
    page.until("[...document.querySelectorAll('.edge-note')].every((note) => !note.hidden && /^(9\\d|100)\\s%/.test(note.textContent))");
    page.picture("stall");

    pipeline.stall(false);
    page.until(&format!("{WORDS} === 'Normal,Normal,Normal'"));
    page.until("document.querySelector('#verdict-kind').textContent === 'No bottleneck'");
    page.until("document.querySelector('#announce').textContent.startsWith('Normal. Nothing is held up')");
    page.until("[...document.querySelectorAll('.edge-note')].every((note) => note.hidden)");
    let past = page.ask("document.querySelectorAll('#parts .band rect[fill=\"var(--blocked)\"]').length");
    assert_eq!(past, 3, "each part remembers that it was blocked");
    page.picture("recovery");
    assert_eq!(page.complaints, Vec::<serde_json::Value>::new());
}

pub(crate) fn odd_names(browser: &Path) {
    let names =
        ["<img src=x onerror=\"hurt=1\">", "</script><script>hurt=1</script>", "`a` & \"b\" \\ 'c' {{1}} ${hurt=1}"];
    let pipeline = Pipeline::start(names);
    let mut page = Chromium::start(browser, "names");
    page.open(&pipeline.url());
    for list in [".node .name", ".part .name .name"] {
        page.until(&format!("document.querySelectorAll('{list}').length === 3"));
        let shown = page.ask(&format!("[...document.querySelectorAll('{list}')].map((name) => name.textContent)"));
        assert_eq!(shown, json!(names));
    }
    page.until("document.querySelector('#verdict').textContent.startsWith('Nothing is held up')");
    assert_eq!(page.ask("typeof hurt"), "undefined");
    assert_eq!(page.ask("document.querySelectorAll('img').length"), 0);
    assert_eq!(page.ask("document.scripts.length"), 1);
    assert_eq!(page.complaints, Vec::<serde_json::Value>::new());
}

pub(crate) fn keyboard(browser: &Path) {
    let pipeline = Pipeline::start(NAMES);
    let mut page = Chromium::start(browser, "keyboard");
    page.open(&pipeline.url());
    page.until("document.querySelectorAll('.node').length === 3 && document.querySelector('#detail-name')");
    let focus = "document.activeElement.querySelector('.name')?.textContent ?? document.activeElement.id ?? ''";
    for _ in 0..4 {
        page.press("Tab");
    }
    assert_eq!(page.ask(focus), "parse", "skip link, two buttons, then the graph");
    page.press("ArrowRight");
    page.press("ArrowRight");
    assert_eq!(page.ask(focus), "db");
    assert_eq!(page.ask("document.querySelector('#detail-name').textContent"), "db");
    page.press("Tab");
    assert_eq!(
        page.ask("document.activeElement.getAttribute('aria-selected')"),
        "true",
        "one stop in the list of parts"
    );
    page.press("Tab");
    assert_eq!(page.ask("document.activeElement.id"), "when");
    let told = "document.activeElement.getAttribute('aria-valuetext')";
    page.until(&format!("{told}.startsWith('now: Fill ')"));
    page.press("ArrowLeft");
    page.press("ArrowLeft");
    assert!(page.ask(told).as_str().unwrap().starts_with("4 s ago: Fill "));

    let tree = page.call("Accessibility.getFullAXTree", json!({}));
    let mut buttons = Vec::new();
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        if ["button", "option", "slider", "image", "listbox"].contains(&role) && node["ignored"] == false {
            let name = node["name"]["value"].as_str().unwrap_or_default();
            assert!(!name.is_empty(), "a {role} without a name: {node}");
            buttons.extend((role == "button").then(|| name.to_owned()));
        }
    }
    assert!(
        buttons.iter().any(|name| name.starts_with("enrich: Normal, fill ") && name.ends_with("feeds db")),
        "{buttons:?}"
    );
    page.press("Tab");
    assert_eq!(page.complaints, Vec::<serde_json::Value>::new());
}

pub(crate) fn phone(browser: &Path) {
    let pipeline = Pipeline::start(["a part whose name is much too long for a phone", "enrich", "db"]);
    let mut page = Chromium::start(browser, "phone");
    for scheme in ["dark", "light"] {
        page.look(360, 740, scheme);
        page.open(&pipeline.url());
        page.until("document.querySelectorAll('.node').length === 3 && document.querySelector('#detail-name')");
        assert_eq!(page.ask("document.documentElement.scrollWidth"), 360, "nothing is cut off, in {scheme}");
        let tops = page.ask("[...document.querySelectorAll('.node')].map((node) => node.offsetTop)");
        let tops: Vec<_> = tops.as_array().unwrap().iter().map(|top| top.as_u64().unwrap()).collect();
        assert!(tops.is_sorted_by(|a, b| a < b), "the pipeline runs downwards: {tops:?}");
        for stalls in [false, true] {
            pipeline.stall(stalls);
            page.until(&format!(
                "{WORDS} === '{}'",
                ["Normal,Normal,Normal", "Blocked,Blocked,Blocked"][usize::from(stalls)]
            ));
            let lowest = page.ask(contrast::LOWEST);
            assert!(lowest["ratio"].as_f64().unwrap() >= 4.5, "{scheme}, stalled: {stalls}: {lowest}");
        }
        page.picture(&format!("phone-{scheme}"));
        pipeline.stall(false);
        page.until(&format!("{WORDS} === 'Normal,Normal,Normal'"));
    }
    assert_eq!(page.complaints, Vec::<serde_json::Value>::new());
}
