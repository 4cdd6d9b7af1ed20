//! The one place that writes to stdout and stderr.
//!
//! stdout carries the answer and nothing else: what one would pipe. Notes, warnings, errors in human format and progress go to
//! stderr. In `json-v1` the answer, or the error, is one JSON document on stdout.

mod page;
mod paint;
mod printer;
mod tty;

pub(crate) use page::{Page, Report};
pub(crate) use paint::Paint;
pub(crate) use printer::Printer;
pub(crate) use tty::Terminal;
