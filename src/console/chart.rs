//! Charts, as SVG. Each has its text for those who do not see it, links of its marks that a pointer can
//! follow, and what it shows as a table, by whose links a keyboard does.

use maud::{Markup, html};

/// Width of every chart, in units of its picture.
pub(super) const WIDTH: f64 = 560.0;

/// A chart and the same as a table.
pub(super) struct Chart<'a> {
    /// Of the page, for what refers to its parts.
    pub id: &'a str,
    pub title: &'a str,
    /// What it shows, in a sentence with its numbers.
    pub description: String,
    pub height: f64,
    pub marks: Markup,
    pub links: Vec<MarkLink>,
    pub columns: &'a [&'a str],
    pub rows: Vec<Vec<Markup>>,
    /// How it is read.
    pub hint: &'a str,
}

/// Where a mark leads to, and the place that it takes in the picture.
pub(super) struct MarkLink {
    pub place: [f64; 4],
    pub path: String,
    pub says: String,
}

pub(super) fn chart(it: Chart<'_>) -> Markup {
    let (title, description) = (format!("{}-title", it.id), format!("{}-text", it.id));
    html! {
        figure.chart id=(it.id) {
            figcaption { h2 { (it.title) } p.hint { (it.hint) } }
            div.scroll tabindex="0" role="region" aria-label={ "Chart: " (it.title) } {
                svg width=(WIDTH) height=(it.height) viewBox={ "0 0 " (WIDTH) " " (it.height) } {
                    g role="img" aria-labelledby={ (title) " " (description) } {
                        title id=(title) { (it.title) }
                        desc id=(description) { (it.description) }
                        (it.marks)
                    }
                    @for link in &it.links { (hit(link)) }
                }
            }
            details {
                summary { "As a table" }
                (table(it.title, it.columns, &it.rows))
            }
        }
    }
}

/// The table has the same link, so that the tabulator does not stop twice.
fn hit(link: &MarkLink) -> Markup {
    let [x, y, width, height] = link.place.map(rounded);
    html! {
        a href=(link.path) aria-label=(link.says) tabindex="-1" {
            title { (link.says) }
            rect.hit x=(x) y=(y) width=(width) height=(height) {}
        }
    }
}

fn table(title: &str, columns: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Table: " (title) } {
            table {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 { th scope="row" { (cell) } }
                                @else { td.number { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A number of a picture, to a tenth.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

pub(super) fn text(class: &str, x: f64, y: f64, words: &str) -> Markup {
    html! { text class=(class) x=(rounded(x)) y=(rounded(y)) { (words) } }
}

pub(super) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    let ((x1, y1), (x2, y2)) = (from, to);
    html! {
        line class=(class) x1=(rounded(x1)) y1=(rounded(y1)) x2=(rounded(x2)) y2=(rounded(y2)) {}
    }
}

pub(super) fn rect(class: &str, place: [f64; 4]) -> Markup {
    let [x, y, width, height] = place.map(rounded);
    html! { rect class=(class) x=(x) y=(y) width=(width) height=(height) {} }
}

/// Hollow where it counts less than it seems.
pub(super) fn dot(is_hollow: bool, x: f64, y: f64) -> Markup {
    let class = if is_hollow { "dot hollow" } else { "dot" };
    html! { circle class=(class) cx=(rounded(x)) cy=(rounded(y)) r="4" {} }
}

/// About a dot that is not there by chance.
pub(super) fn ring(x: f64, y: f64) -> Markup {
    html! { circle class="ring" cx=(rounded(x)) cy=(rounded(y)) r="8" {} }
}

/// A line through points, or nothing through fewer than two.
pub(super) fn path(class: &str, points: &[(f64, f64)]) -> Markup {
    let mut d = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let command = if at == 0 { 'M' } else { 'L' };
        d.push_str(&format!("{command}{} {}", rounded(*x), rounded(*y)));
    }
    html! { @if points.len() > 1 { path class=(class) d=(d) {} } }
}

/// Lines of a share from 0 to `most`, with their labels on the left.
pub(super) fn grid(left: f64, right: f64, most: f64, y: &dyn Fn(f64) -> f64) -> Markup {
    let steps = [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| part * most);
    html! {
        @for step in steps {
            (line("grid", (left, y(step)), (right, y(step))))
            (text("end", left - 6.0, y(step) + 4.0, &percent(step)))
        }
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{} %", (share * 100.0).round())
}

/// A share with its interval.
pub(super) fn with_interval(share: f64, (low, high): (f64, f64)) -> String {
    let [low, high] = [low, high].map(|it| (it * 100.0).round());
    format!("{} [{low}–{high}]", percent(share))
}
