//! Rows in requests that are as large as the Data API takes them.

use serde::Serialize;
use tributary_model::limits::LEDGER_REQUEST_BYTES_MAX;

/// The rows as JSON arrays, in their order, each within `rows_max` and [`LEDGER_REQUEST_BYTES_MAX`].
pub(super) fn pages<T: Serialize>(rows: &[T], rows_max: usize) -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    let (mut rows_in_page, mut bytes) = (0, 0);
    for row in rows {
        let line = serde_json::to_string(row).unwrap_or_default(); // texts and numbers always serialise
        let line_bytes = escaped_bytes(&line) + 1;
        match pages.last_mut() {
            Some(page) if rows_in_page < rows_max && bytes + line_bytes <= LEDGER_REQUEST_BYTES_MAX => {
                page.push(',');
                page.push_str(&line);
                rows_in_page += 1;
                bytes += line_bytes;
            }
            _ => {
                pages.push(format!("[{line}"));
                (rows_in_page, bytes) = (1, line_bytes);
            }
        }
    }
    pages.iter_mut().for_each(|page| page.push(']'));
    pages
}

/// Bytes of a JSON text within another JSON text: of what JSON escapes, it holds quotes and backslashes alone.
fn escaped_bytes(line: &str) -> usize {
    line.len() + line.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rows_are_no_pages() {
        assert_eq!(pages::<u8>(&[], 1), Vec::<String>::new());
    }

    #[test]
    fn a_page_ends_by_its_rows() {
        let rows: Vec<usize> = (0..1001).collect();
        let pages = pages(&rows, 1000);
        assert_eq!((pages.len(), pages[1].as_str()), (2, "[1000]"));
        assert!(pages[0].starts_with("[0,1,2,") && pages[0].ends_with(",999]"));
    }

    #[test]
    fn a_page_ends_by_its_bytes_as_they_are_sent() {
        // Ten bytes of JSON, fifteen within a JSON text: two rows are 3 MB.
        let rows = vec!["\"\u{1}\\".repeat(100_000); 7];
        let pages = pages(&rows, 1000);
        let counts = pages.iter().map(|page| serde_json::from_str::<Vec<String>>(page).expect("rows").len());
        assert_eq!(counts.collect::<Vec<_>>(), [2, 2, 2, 1]);
        for page in pages {
            assert!(serde_json::to_string(&page).expect("JSON").len() <= LEDGER_REQUEST_BYTES_MAX);
        }
    }
}
