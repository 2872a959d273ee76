//! A plot of milliseconds against rows, both on a logarithmic scale, as a self-contained SVG.

use std::fmt::Write as _;

/// One line of the plot.
pub struct Line {
    pub name: String,
    /// Rows and milliseconds.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room for the labels: left, right, above, below.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 176.0;
const ABOVE: f64 = 40.0;
const BELOW: f64 = 48.0;
const COLOURS: [&str; 4] = ["#0b62a3", "#b3470a", "#2c7a3f", "#77777a"];

/// Decades on each axis: rows and milliseconds.
const ROWS: (i32, i32) = (4, 8);
const MILLISECONDS: (i32, i32) = (0, 4);

fn x(rows: f64) -> f64 {
    let (first, last) = ROWS;
    LEFT + (WIDTH - LEFT - RIGHT) * (rows.max(1.0).log10() - f64::from(first)) / f64::from(last - first)
}

fn y(milliseconds: f64) -> f64 {
    let (first, last) = MILLISECONDS;
    let part = (milliseconds.max(0.1).log10() - f64::from(first)) / f64::from(last - first);
    HEIGHT - BELOW - (HEIGHT - ABOVE - BELOW) * part.clamp(0.0, 1.0)
}

fn rows_word(power: i32) -> &'static str {
    ["10 k", "100 k", "1 M", "10 M", "100 M"].get((power - ROWS.0) as usize).copied().unwrap_or("")
}

fn time_word(power: i32) -> &'static str {
    ["1 ms", "10 ms", "100 ms", "1 s", "10 s"].get((power - MILLISECONDS.0) as usize).copied().unwrap_or("")
}

/// Draws the lines.
pub fn draw(lines: &[Line]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
         role=\"img\" aria-label=\"Time of questions and of ingest against the number of record rows stored\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-weight=\"bold\">Time against record rows stored, three years of reports</text>\n"
    );
    let (bottom, right) = (HEIGHT - BELOW, WIDTH - RIGHT);
    for power in MILLISECONDS.0..=MILLISECONDS.1 {
        let at = y(10_f64.powi(power));
        let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{right:.1}\" stroke=\"#dddddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            time_word(power)
        );
    }
    for power in ROWS.0..=ROWS.1 {
        let at = x(10_f64.powi(power));
        let _ = writeln!(svg, "<path d=\"M{at:.1} {ABOVE}V{bottom:.1}\" stroke=\"#dddddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 20.0,
            rows_word(power)
        );
    }
    // Names of lines that end close to each other are moved apart.
    let end = |line: &Line| line.points.last().map_or(bottom, |point| y(point.1));
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|one, other| end(&lines[*one]).total_cmp(&end(&lines[*other])));
    let mut free = ABOVE;
    for index in order {
        let line = &lines[index];
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<String> =
            line.points.iter().map(|(rows, time)| format!("{:.1},{:.1}", x(*rows), y(*time))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        for point in &points {
            let (x, y) = point.split_once(',').unwrap_or(("0", "0"));
            let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let (at, last) = (end(line).max(free), line.points.last().copied().unwrap_or((1.0, 1.0)));
        free = at + 16.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}: {:.0} ms</text>",
            x(last.0) + 8.0,
            at + 4.0,
            line.name,
            last.1
        );
    }
    svg.push_str("</svg>\n");
    svg
}
