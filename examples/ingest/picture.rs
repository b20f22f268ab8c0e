//! The picture of a frame: a pure function of the frame and of the room there is.

use std::time::Duration;

use backpressure::{Snapshot, State};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line as Stroke};

use crate::frame::Frame;
use crate::history::Sample;
use crate::human::{count, some_time, time};
use crate::keys::HELP;
use crate::rates::lost;

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Room for the numbers at the left of the plots.
const LABELS: u16 = 9;

/// Below so many rows the numbers are left out, then the plot of the rates, then the labels.
const WITH_NUMBERS: u16 = 20;
const WITH_RATES: u16 = 11;
const WITH_PLOT: u16 = 5;

/// Behind what happened while the database did not answer.
const STALLED: Color = Color::Indexed(52);

/// What is plotted: in, out and lost.
const CURVES: [(&str, Color); 3] = [("in", Color::Cyan), ("out", Color::Green), ("lost", Color::Red)];

impl Widget for &Frame<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let height = area.height;
        let rows = |wanted: u16, from: u16| if height >= from { wanted } else { 0 };
        let numbers = rows(8, WITH_NUMBERS);
        let [title, fill, legend, rates, axis, numbers, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(rows(1, WITH_RATES)),
            Constraint::Fill(u16::from(height >= WITH_RATES)),
            Constraint::Length(rows(1, WITH_PLOT)),
            Constraint::Length(numbers),
            Constraint::Length(rows(1, 3)),
        ])
        .areas(area);
        self.title().render(title, buffer);
        let columns = self.history.columns(usize::from(plot(fill).width));
        draw_fill(fill, buffer, &columns);
        self.legend().render(legend, buffer);
        if height >= WITH_RATES {
            draw_rates(rates, buffer, &columns);
        }
        draw_axis(axis, buffer, &columns, self.history.lasting());
        for (row, line) in numbers.rows().zip(self.numbers()) {
            line.render(row, buffer);
        }
        self.keys().render(keys, buffer);
    }
}

/// Where the columns are, right of the labels.
fn plot(area: Rect) -> Rect {
    let labels = if area.width > 3 * LABELS { LABELS } else { 0 };
    Rect { x: area.x + labels, width: area.width - labels, ..area }
}

/// Blocks as high as the buffer is full, in the colour of the state.
fn draw_fill(area: Rect, buffer: &mut Buffer, columns: &[Sample]) {
    label(area, buffer, 0, "100 %");
    if area.height > 2 {
        label(area, buffer, area.height - 1, "0 %");
    }
    let plot = plot(area);
    for (x, column) in (plot.x..).zip(columns) {
        let mut eighths = (column.utilization.clamp(0.0, 1.0) * f64::from(plot.height) * 8.0).ceil() as usize;
        for y in (plot.y..plot.bottom()).rev() {
            let cell = &mut buffer[(x, y)];
            cell.set_symbol(EIGHTHS[eighths.min(8)]).set_fg(colour(column.state));
            eighths = eighths.saturating_sub(8);
        }
    }
    shade(plot, buffer, columns);
    if plot.height > 1 {
        mark(plot, buffer, columns);
    }
}

/// Says above the columns where each stall began.
fn mark(plot: Rect, buffer: &mut Buffer, columns: &[Sample]) {
    let text = "▼ stall";
    let before = std::iter::once(false).chain(columns.iter().map(|column| column.stalled));
    let begins = columns.iter().zip(before).map(|(column, before)| column.stalled && !before);
    for (x, _) in (plot.x..plot.right()).zip(begins).filter(|(_, begins)| *begins) {
        let x = x.min(plot.right().saturating_sub(text.chars().count() as u16)).max(plot.x);
        buffer.set_stringn(x, plot.y, text, usize::from(plot.right() - x), Style::new().fg(Color::White).bold());
    }
}

/// Three curves over one scale.
fn draw_rates(area: Rect, buffer: &mut Buffer, columns: &[Sample]) {
    let plot = plot(area);
    let rates: Vec<_> = columns.iter().map(Sample::rates).collect();
    let top = rates.iter().flatten().copied().fold(1.0, f64::max);
    label(area, buffer, 0, &format!("{}/s", short(top)));
    if area.height > 2 {
        label(area, buffer, area.height - 1, "0/s");
    }
    Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([0.0, f64::from(plot.width.saturating_sub(1)).max(1.0)])
        .y_bounds([0.0, top])
        .paint(|canvas| {
            for (curve, (_, colour)) in CURVES.into_iter().enumerate() {
                for (x, pair) in rates.windows(2).enumerate() {
                    let x = x as f64;
                    canvas.draw(&Stroke { x1: x, y1: pair[0][curve], x2: x + 1.0, y2: pair[1][curve], color: colour });
                }
            }
        })
        .render(plot, buffer);
    shade(plot, buffer, columns);
}

/// Marks the columns in which the database did not answer.
fn shade(plot: Rect, buffer: &mut Buffer, columns: &[Sample]) {
    for (x, _) in (plot.x..plot.right()).zip(columns).filter(|(_, column)| column.stalled) {
        for y in plot.y..plot.bottom() {
            buffer[(x, y)].set_bg(STALLED);
        }
    }
}

/// Time, from the beginning of the run to now.
fn draw_axis(area: Rect, buffer: &mut Buffer, columns: &[Sample], lasting: Duration) {
    let plot = plot(area);
    if area.height == 0 || plot.width < 12 || columns.is_empty() {
        return;
    }
    let dim = Style::new().add_modifier(Modifier::DIM);
    let used = columns.len() as u16;
    buffer.set_string(plot.x, plot.y, "─".repeat(usize::from(used)), dim);
    let ticks = (used / 16).clamp(1, 8);
    for tick in 0..=ticks {
        let text = format!("{:.1} s", lasting.as_secs_f64() * f64::from(tick) / f64::from(ticks));
        let width = text.chars().count() as u16;
        let at = u32::from(used) * u32::from(tick) / u32::from(ticks);
        let x = plot.x + (at as u16).saturating_sub(if tick == 0 { 0 } else { width });
        if u32::from(used) >= u32::from(width) * 2 || tick == ticks {
            buffer.set_stringn(x, plot.y, &text, usize::from(plot.right() - x), dim);
        }
    }
}

fn label(area: Rect, buffer: &mut Buffer, row: u16, text: &str) {
    if plot(area).x > area.x && row < area.height {
        let width = usize::from(LABELS) - 1;
        let text = format!("{text:>width$}");
        buffer.set_stringn(area.x, area.y + row, text, width, Style::new().add_modifier(Modifier::DIM));
    }
}

impl Frame<'_> {
    fn title(&self) -> Line<'static> {
        let Snapshot { state, utilization, .. } = self.snapshot;
        let mut spans = vec![
            Span::from("ingest ").bold(),
            Span::from(format!(" {state:<8} ")).fg(Color::Black).bg(colour(*state)).bold(),
            Span::from(format!(
                "{:>4.0} %  {}  {:.1} s  ",
                utilization * 100.0,
                self.title,
                self.elapsed.as_secs_f64()
            )),
        ];
        if self.stalled {
            spans.push(Span::from("the database does not answer  ").fg(Color::Red).bold());
        }
        if self.stopping {
            spans.push(Span::from("stopping").bold());
        }
        Line::from(spans)
    }

    fn legend(&self) -> Line<'static> {
        let rates = [self.rates.received, self.rates.delivered, self.rates.lost];
        let curves = CURVES.into_iter().zip(rates).map(|((name, colour), rate)| {
            Span::from(format!("━ {name} {}/s   ", count(rate.round() as u64))).fg(colour)
        });
        let pace = match self.pace {
            Some(pace) => format!("paced at {}/s", count(pace.round() as u64)),
            None => "flat out".to_owned(),
        };
        Line::from_iter(
            std::iter::once(Span::from(" ".repeat(usize::from(LABELS)))).chain(curves).chain([Span::from(pace).dim()]),
        )
    }

    fn keys(&self) -> Line<'static> {
        Line::from_iter(
            HELP.into_iter()
                .flat_map(|(key, what)| [Span::from(format!(" {key} ")).reversed(), Span::from(format!(" {what}   "))]),
        )
    }

    fn numbers(&self) -> [Line<'static>; 8] {
        let Snapshot { counts, flush, .. } = self.snapshot;
        [
            row(
                "buffer",
                [
                    ("queued", count(counts.queued)),
                    ("in flight", count(counts.in_flight)),
                    ("oldest", some_time(self.snapshot.oldest_age.filter(|_| counts.queued > 0))),
                ],
            ),
            row(
                "totals",
                [("in", count(counts.received)), ("out", count(counts.delivered)), ("lost", count(lost(counts)))],
            ),
            row(
                "flush",
                [("p50", some_time(flush.p50)), ("p99", some_time(flush.p99)), ("last", some_time(flush.last))],
            ),
            row(
                "time",
                [
                    ("busy", share(self.work.map(|work| work.busy))),
                    ("idle", share(self.work.map(|work| work.idle))),
                    ("blocked", share(self.work.map(|work| work.blocked))),
                ],
            ),
            row(
                "pace",
                [
                    ("batch", count(flush.batch_items as u64)),
                    ("interval", time(flush.interval)),
                    ("wait p99", some_time(self.snapshot.producer_wait_p99)),
                ],
            ),
            row(
                "input",
                [
                    ("lines", count(self.lines)),
                    ("bad", count(self.bad_lines)),
                    ("waiting", count(self.snapshot.producers_waiting as u64)),
                ],
            ),
            self.losses(),
            Line::default(),
        ]
    }

    fn losses(&self) -> Line<'static> {
        let lost: Vec<_> = self.by_reason().map(|(reason, items)| format!("{reason} {}", count(items))).collect();
        let what = if lost.is_empty() {
            Span::from("none").fg(Color::Green)
        } else {
            Span::from(lost.join(" · ")).fg(Color::Yellow)
        };
        Line::from(vec![name("losses"), what])
    }
}

fn row(what: &str, cells: [(&str, String); 3]) -> Line<'static> {
    let cells = cells
        .into_iter()
        .flat_map(|(what, value)| [Span::from(format!("{what:<10}")).dim(), Span::from(format!("{value:>11}   "))]);
    Line::from_iter(std::iter::once(name(what)).chain(cells))
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn name(what: &str) -> Span<'static> {
    Span::from(format!("{what:<9}")).bold()
}

fn colour(state: State) -> Color {
    match state {
        State::Normal => Color::Green,
        State::Elevated => Color::Yellow,
        State::Critical => Color::Magenta,
        State::Blocked => Color::Red,
        State::Draining => Color::Cyan,
    }
}

/// Seven characters at most, with a unit: `12.3 k`.
fn short(number: f64) -> String {
    match number {
        n if n < 1e3 => format!("{n:.0}"),
        n if n < 1e6 => format!("{:.1}k", n / 1e3),
        n => format!("{:.1}M", n / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::frame::tests::frame;
    use crate::history::History;
    use crate::history::tests::sample;

    /// A run of ten seconds, in whose middle the database does not answer for two.
    fn run() -> History {
        let mut history = History::default();
        for n in 0..100_u32 {
            let stalled = (40..60).contains(&n);
            let (utilization, state) = if stalled { (1.0, State::Blocked) } else { (0.1, State::Normal) };
            history.add(sample(utilization, state, stalled));
        }
        history
    }

    fn drawn(history: &History, width: u16, height: u16) -> Buffer {
        let snapshot = Snapshot::default();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let frame = frame(&snapshot, history);
        terminal.draw(|screen| screen.render_widget(&frame, screen.area())).unwrap();
        terminal.backend().buffer().clone()
    }

    fn text(buffer: &Buffer) -> Vec<String> {
        let area = buffer.area;
        let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..area.height).map(row).collect()
    }

    #[test]
    fn the_plot_has_the_whole_run_over_the_full_width_with_the_stall_marked_and_coloured() {
        let buffer = drawn(&run(), 109, 40);
        let lines = text(&buffer);
        assert!(lines[0].starts_with("ingest  normal"), "{lines:?}");
        assert!(lines[1].starts_with("   100 %") && lines[1].contains("▼ stall"), "{lines:#?}");
        let stall = lines[1].chars().position(|c| c == '▼').unwrap();
        assert_eq!(stall, 9 + 40, "where it began");
        let axis = lines.iter().find(|line| line.contains("0.0 s")).unwrap();
        assert!(axis.ends_with("10.0 s") && axis.chars().count() == 109, "{axis:?}");
        for (x, shaded) in [(48, false), (49, true), (68, true), (69, false)] {
            assert_eq!(buffer[(x, 5)].bg == STALLED, shaded, "{x}");
        }
        assert_eq!((buffer[(55, 5)].symbol(), buffer[(55, 5)].fg), ("█", Color::Red));
        let bottom = lines.iter().position(|line| line.starts_with("     0 %")).unwrap() as u16;
        assert_eq!(buffer[(9, bottom)].fg, Color::Green);
        assert!(buffer.content.iter().any(|cell| cell.fg == Color::Cyan && cell.symbol() > "\u{2800}"), "the curves");
        assert!(lines.iter().any(|line| line.starts_with("time     busy") && line.contains("75 %")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("━ in 1,234/s") && line.contains("paced at 5,000/s")));
    }

    #[test]
    fn it_fits_every_size_and_keeps_what_matters_most() {
        for (width, height) in [(1, 1), (3, 2), (10, 3), (20, 5), (40, 8), (40, 12), (80, 24), (300, 100), (0, 0)] {
            let lines = text(&drawn(&run(), width, height));
            if width >= 20 && height >= 3 {
                assert!(lines[0].starts_with("ingest"), "{width} x {height}: {lines:#?}");
                assert!(lines.last().unwrap().contains("stall"), "the keys");
                assert!(lines[1..].iter().any(|line| line.contains('█')), "the fill: {lines:#?}");
            }
            let with = |words: &str| lines.iter().any(|line| line.contains(words));
            assert_eq!(with("queued"), width >= 20 && height >= WITH_NUMBERS, "{width} x {height}: {lines:#?}");
        }
    }

    #[test]
    fn a_run_that_has_just_begun_has_a_picture_too() {
        assert!(text(&drawn(&History::default(), 80, 24))[0].starts_with("ingest"));
    }

    #[test]
    fn an_utilization_beyond_all_bounds_fills_the_plot_and_no_more() {
        let mut history = History::default();
        for utilization in [f64::NAN, f64::INFINITY, 1.7, -1.0] {
            history.add(sample(utilization, State::Blocked, false));
        }
        drawn(&history, 80, 24);
    }
}
