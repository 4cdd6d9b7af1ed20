//! The tail decides whether a repository is pleasant to read: production lines of a source file.

use crate::Report;
use crate::tree::Tree;

const MEDIAN: usize = 150;
const P90: usize = 350;
const LARGEST: usize = 600;

/// Measures the workspace.
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    Ok(check(tree.sources().map(|(path, lines)| (lines.len(), path.to_owned())).collect()))
}

fn check(mut files: Vec<(usize, String)>) -> Report {
    files.sort();
    let mut report = Report::default();
    // The smallest value that is at least as large as this share of all: nearest rank.
    let rank =
        |percent: usize| files.get((files.len() * percent).div_ceil(100).saturating_sub(1)).map_or(0, |file| file.0);
    let (median, p90) = (rank(50), rank(90));
    let largest = files.last().map_or(0, |file| file.0);
    report.figures.push(format!("{} files, median {median}, p90 {p90}, largest {largest}", files.len()));
    if median > MEDIAN {
        report.violations.push(format!("the median is {median} lines, above {MEDIAN}"));
    }
    if p90 > P90 {
        report.violations.push(format!("the 90th percentile is {p90} lines, above {P90}"));
    }
    for (lines, path) in files.iter().filter(|(lines, _)| *lines > LARGEST) {
        report
            .violations
            .push(format!("{path} has {lines} lines, above {LARGEST}: move something to a file of its own"));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sizes: &[usize]) -> Report {
        check(sizes.iter().map(|lines| (*lines, format!("{lines}.rs"))).collect())
    }

    #[test]
    fn figures() {
        let report = of(&[10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
        assert_eq!(report.figures, ["10 files, median 50, p90 90, largest 100"]);
        assert!(report.violations.is_empty());
    }

    #[test]
    fn each_bound_goes_red() {
        assert_eq!(of(&[151]).violations, ["the median is 151 lines, above 150"]);
        assert_eq!(of(&[1, 1, 1, 351]).violations, ["the 90th percentile is 351 lines, above 350"]);
        let mut many = vec![1; 20];
        many.push(601);
        assert_eq!(of(&many).violations, ["601.rs has 601 lines, above 600: move something to a file of its own"]);
    }
}
