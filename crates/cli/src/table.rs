//! Text in columns for human eyes.

use crate::human::printable;

/// Lines of `label  value`, the values below each other, as further lines of one value are.
pub fn rows<L: AsRef<str>, V: AsRef<str>>(rows: &[(L, V)]) -> String {
    let width = rows.iter().map(|(label, _)| columns(label.as_ref())).max();
    let width = width.unwrap_or(0);
    let line = |(label, value): &(L, V)| {
        let (label, value) = (label.as_ref(), printable(value.as_ref()));
        // A value from outside must not look like a row.
        let value = value.replace('\n', &format!("\n{}", " ".repeat(width + 4)));
        format!("  {label}{}  {value}", " ".repeat(width - columns(label)))
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A table with a head. The first column is aligned left, the others, meant for numbers, right.
pub fn table(head: &[String], body: &[Vec<String>]) -> String {
    aligned(head, body, &[0])
}

/// A table with a head. The columns in `texts` are aligned left, the others right.
pub fn aligned(head: &[String], body: &[Vec<String>], texts: &[usize]) -> String {
    let all: Vec<Vec<String>> = std::iter::once(head)
        .chain(body.iter().map(Vec::as_slice))
        .map(|row| {
            row.iter()
                .map(|cell| printable(cell).replace('\n', " "))
                .collect()
        })
        .collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(column, cell): (usize, &String)| {
            let missing = widths.get(column).map_or(0, |width| width - columns(cell));
            let blanks = " ".repeat(missing);
            if texts.contains(&column) {
                format!("{cell}{blanks}")
            } else {
                format!("{blanks}{cell}")
            }
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Columns on a terminal; Latin text only, so characters will do.
fn columns(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::{rows, table};

    #[test]
    fn values_stand_below_each_other() {
        let text = rows(&[("Tamaño", "1 GiB"), ("Disco", "sda\u{1b}")]);
        assert_eq!(text, "  Tamaño  1 GiB\n  Disco   sda\\u{1b}");
        let text = rows(&[("Etiqueta", "aula\n  Identidad  0")]);
        assert_eq!(text, "  Etiqueta  aula\n              Identidad  0");
        assert_eq!(rows::<&str, &str>(&[]), "");
    }

    #[test]
    fn numbers_are_aligned_right() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let text = table(
            &row("step", "time"),
            &[row("capture", "1.5 s"), row("x", "12.5 s")],
        );
        assert_eq!(
            text,
            "  step       time\n  capture   1.5 s\n  x        12.5 s"
        );
    }
}
