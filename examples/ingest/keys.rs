//! What a key asks for.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What somebody at the terminal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The database stops answering, or answers again.
    Stall,
    Faster,
    Slower,
    /// Stop the intake and drain; asked for again, end at once.
    Quit,
}

/// The keys, as the last line of the picture tells them.
pub(crate) const HELP: [(&str, &str); 4] = [("s", "stall"), ("+", "faster"), ("-", "slower"), ("q", "quit")];

pub(crate) fn wish(key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::Quit),
        _ if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Wish::Quit),
        KeyCode::Char('s' | 'S' | ' ') => Some(Wish::Stall),
        KeyCode::Char('+' | '=') | KeyCode::Up | KeyCode::Right => Some(Wish::Faster),
        KeyCode::Char('-' | '_') | KeyCode::Down | KeyCode::Left => Some(Wish::Slower),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Option<Wish> {
        wish(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn every_key_of_the_help_does_what_it_says() {
        let wishes = HELP.map(|(key, _)| pressed(KeyCode::Char(key.chars().next().unwrap()), KeyModifiers::NONE));
        assert_eq!(wishes, [Wish::Stall, Wish::Faster, Wish::Slower, Wish::Quit].map(Some));
    }

    #[test]
    fn ctrl_c_quits_although_raw_mode_keeps_it_from_being_a_signal() {
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::Quit));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(pressed(KeyCode::Char('s'), KeyModifiers::CONTROL), None);
    }

    #[test]
    fn a_key_counts_when_it_goes_down_and_not_again_when_it_comes_up() {
        let up = KeyEvent::new_with_kind(KeyCode::Char('s'), KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(wish(up), None);
        assert_eq!(pressed(KeyCode::Char('S'), KeyModifiers::SHIFT), Some(Wish::Stall));
    }
}
