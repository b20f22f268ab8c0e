//! The report as a page that needs nothing but itself.

use std::fmt::Write;

use anyhow::Result;

use crate::comparison::Comparison;
use crate::markdown::{about, columns, peers, reading};
use crate::plot;
use crate::run::Run;
use crate::stats::{digits, time};
use crate::targets::{self, Reached};

const STYLE: &str = include_str!("report.css");

pub fn report(run: &Run, comparison: &Comparison<'_>) -> Result<String> {
    let mut body = String::new();
    body.push_str("<h1>Benchmarks</h1>\n");
    for text in [&about(run), reading(), &peers(run)] {
        let _ = writeln!(body, "<p>{}</p>", inline(text));
    }
    body.push_str(&summary(comparison));
    body.push_str(&targets(run, comparison));
    for (number, function) in comparison.functions.iter().enumerate() {
        let _ = writeln!(body, "<h2 id=\"f{number}\">{}</h2>", inline(function.name));
        for case in &function.cases {
            let _ = writeln!(body, "<section>\n<h3>{}</h3>\n{}", inline(case.name), plot::svg(case)?);
            body.push_str("<table>\n<tr><th><th>median<th>spread<th>by the best peer<th>by the floor\n");
            for entry in &case.rows {
                let cells = columns(case, entry).map(|cell| format!("<td>{}", inline(&cell)));
                let _ = writeln!(body, "<tr>{}", cells.concat());
            }
            body.push_str("</table>\n</section>\n");
        }
    }
    let head =
        "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>Benchmarks</title>";
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n{head}\n<style>\n{STYLE}</style>\n<main>\n{body}</main>\n</html>\n"
    ))
}

/// One line for each case that has a peer, with a bar for the ratio: what is right of the mark is lost.
fn summary(comparison: &Comparison<'_>) -> String {
    let mut table = String::from("<table class=\"short\">\n<tr><th><th>ours<th>best peer<th><th>ratio<th>\n");
    for (number, function) in comparison.functions.iter().enumerate() {
        for case in &function.cases {
            let (Some(ours), Some(peer), Some(ratio)) = (case.ours(), case.peer(), case.ratio()) else { continue };
            let name = inline(&format!("{}: {}", function.name, case.name));
            let (ours, theirs) = (time(ours.row.nanos()), time(peer.row.nanos()));
            let lost = if ratio > 1.0 { " class=\"lost\"" } else { "" };
            let width = (ratio * 50.0).min(100.0);
            let _ = writeln!(
                table,
                "<tr{lost}><td><a href=\"#f{number}\">{name}</a><td>{ours}<td>{}<td>{theirs}<td>{}\
                 <td class=\"bar\"><i style=\"width:{width:.0}%\"></i>",
                inline(peer.id.label()),
                digits(ratio)
            );
        }
    }
    table + "</table>\n"
}

/// What was aimed at beside what was reached; empty for a run that has no such rows.
fn targets(run: &Run, comparison: &Comparison<'_>) -> String {
    let reached = targets::reached(run, comparison);
    if reached.is_empty() {
        return String::new();
    }
    let mut table = String::from(
        "<h2>Targets</h2>\n<table class=\"targets\">\n<tr><th><th>against<th>target<th>reached<th>why not\n",
    );
    for Reached { name, against, target, reached, is_met, why } in reached {
        let missed = if is_met { "" } else { " class=\"lost\"" };
        let _ = writeln!(
            table,
            "<tr{missed}><td>{}<td>{}<td>{target}<td>{reached}<td>{}",
            inline(&name),
            inline(&against),
            inline(why)
        );
    }
    table + "</table>\n"
}

/// Text as HTML, with the little Markdown that there is in it.
fn inline(text: &str) -> String {
    let mut html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for (mark, tag) in [("**", "b"), ("*", "em"), ("`", "code")] {
        let mut parts = html.split(mark);
        let mut marked = parts.next().unwrap_or_default().to_owned();
        for (part, tag) in parts.zip([format!("<{tag}>"), format!("</{tag}>")].iter().cycle()) {
            marked.push_str(tag);
            marked.push_str(part);
        }
        html = marked;
    }
    html.replace("\\|", "|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::made_up;

    #[test]
    fn the_page_stands_alone_and_shows_tables_and_pictures() {
        let run = made_up(&[
            ("send/one/backpressure", &[30.0]),
            ("send/one/Mutex<VecDeque>", &[20.0]),
            ("gauge/state/backpressure", &[1.0]),
        ]);
        let page = report(&run, &Comparison::of(&run.rows)).unwrap();
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.matches("<h2 id").count(), 2);
        assert!(
            page.contains("<tr class=\"lost\"><td>batched call: one thread, 64 callers<td>"),
            "its target is not measured"
        );
        assert!(page.contains("<td><b>backpressure</b><td>30.0 ns<td>30.0 ns to 30.0 ns<td>1.50<td>"), "{page}");
        assert!(page.contains("<tr class=\"lost\">"), "the one that is slower is marked");
        assert!(page.contains("Abacus &lt;7&gt;") && page.contains("<td>Mutex&lt;VecDeque&gt;"));
        for outside in ["http://", "https://", "<script", "src="] {
            let links: Vec<_> = page.matches(outside).collect();
            let namespaces = if outside == "http://" { page.matches("xmlns=\"http://").count() } else { 0 };
            assert_eq!(links.len(), namespaces, "{outside}");
        }
    }

    #[test]
    fn marks_become_tags_and_the_rest_is_escaped() {
        assert_eq!(inline("**a** *b* `c<d>` \\| e & f"), "<b>a</b> <em>b</em> <code>c&lt;d&gt;</code> | e &amp; f");
    }
}
