//! The tests of `ingest`, each in the file that it is about. This is the program without its `main`.
#![allow(dead_code, reason = "what only `main` uses")]

mod args;
#[path = "../common/copy_columns.rs"]
mod copy_columns;
mod copy_text;
mod database;
mod ending;
mod event;
mod frame;
#[path = "../common/fresh.rs"]
mod fresh;
mod history;
mod human;
mod keys;
mod lines;
mod pace;
mod picture;
mod postgres;
#[path = "../common/postgres_link.rs"]
mod postgres_link;
mod producer;
mod rates;
mod report;
mod run;
mod screen;
mod source;
mod stall;
mod stop;
mod store;
mod tally;
mod view;
mod watched;
