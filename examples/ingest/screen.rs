//! The terminal while pictures are drawn on it.

use std::io;
use std::time::Duration;

use crossterm::event::{self, Event};
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use ratatui::widgets::Widget;

use crate::ending::is_coloured;
use crate::frame::Frame;
use crate::keys::{self, Wish};

/// A terminal in raw mode, with a screen of its own. Dropped, it is what it was before.
pub(crate) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()? })
    }

    /// Draws over the whole terminal, however large it is now.
    pub(crate) fn draw(&mut self, frame: &Frame<'_>) {
        // A picture that could not be drawn is followed by another.
        let _ = self.terminal.draw(|screen| screen.render_widget(frame, screen.area()));
    }

    /// The same in a few lines that can be printed, for what stays on the terminal in the end.
    pub(crate) fn print_of(&self, frame: &Frame<'_>) -> String {
        let width = self.terminal.size().map_or(80, |size| size.width);
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, PRINTED));
        frame.render(buffer.area, &mut buffer);
        text(&buffer, is_coloured())
    }
}

/// The height of a picture that is printed: both plots, without the keys.
const PRINTED: u16 = 15;

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, also for a process that ends at once.
pub(crate) fn restore() {
    ratatui::restore();
}

/// What somebody asks for within this time.
pub(crate) fn wish(within: Duration) -> Option<Wish> {
    let Ok(true) = event::poll(within) else { return None };
    match event::read() {
        Ok(Event::Key(key)) => keys::wish(key),
        _ => None,
    }
}

/// Lines of text, without the last one, with the colours as escapes if they are wanted.
fn text(buffer: &Buffer, coloured: bool) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in 0..area.height.saturating_sub(1) {
        let mut line = String::new();
        let mut last = (Color::Reset, Color::Reset, Modifier::empty());
        for x in 0..area.width {
            let cell = &buffer[(x, y)];
            let style = (cell.fg, cell.bg, cell.modifier);
            if coloured && style != last {
                line += &escape(style);
                last = style;
            }
            line += cell.symbol();
        }
        text += line.trim_end();
        text += if coloured { "\x1b[0m\n" } else { "\n" };
    }
    text
}

fn escape((fg, bg, modifier): (Color, Color, Modifier)) -> String {
    let foreground = |colour| match colour {
        Color::Black => 30,
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Magenta => 35,
        Color::Cyan => 36,
        Color::White => 37,
        _ => 39,
    };
    let background = match bg {
        Color::Indexed(index) => format!("48;5;{index}"),
        other => (foreground(other) + 10).to_string(),
    };
    let bold = if modifier.contains(Modifier::BOLD) { ";1" } else { "" };
    let dim = if modifier.contains(Modifier::DIM) { ";2" } else { "" };
    format!("\x1b[0;{};{background}{bold}{dim}m", foreground(fg))
}
