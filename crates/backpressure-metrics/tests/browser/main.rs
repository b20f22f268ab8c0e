//! The page in a real browser. Where there is none these tests are skipped.

#![allow(clippy::print_stderr, reason = "it says why it is skipped")]

mod chromium;
mod contrast;
mod pipeline;
mod trials;

use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

type Run = fn(&PathBuf);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One browser at a time is enough for a small machine.
    arguments.test_threads = arguments.test_threads.or(Some(1));
    let browser = chromium::installed();
    if browser.is_none() {
        eprintln!("There is no Chromium here, so the page is not tried in a browser.");
    }
    let trials: [(&str, Run); 4] = [
        ("a_stall_is_shown_with_its_bottleneck_and_so_is_the_recovery", |browser| trials::stall_and_recovery(browser)),
        ("a_name_is_shown_as_text_whatever_it_is", |browser| trials::odd_names(browser)),
        ("the_page_works_by_keyboard_and_says_what_it_shows", |browser| trials::keyboard(browser)),
        ("the_page_is_readable_on_a_phone_in_dark_and_light", |browser| trials::phone(browser)),
    ];
    let trials = trials.map(|(name, run)| {
        let path = browser.clone();
        let trial = Trial::test(name, move || {
            run(&path.ok_or("there is no Chromium here")?);
            Ok(())
        });
        trial.with_ignored_flag(browser.is_none())
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
