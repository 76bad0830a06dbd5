//! Small multiples as SVG: a panel per policy, all on the same scale.

/// One picture: panels in rows.
pub struct Picture {
    pub title: &'static str,
    pub about: &'static str,
    pub columns: usize,
    pub panels: Vec<Panel>,
}

/// Some lines over time.
pub struct Panel {
    pub title: String,
    pub most: f64,
    pub unit: &'static str,
    pub lines: Vec<Line>,
}

/// One value per second.
pub struct Line {
    pub name: &'static str,
    pub color: &'static str,
    pub values: Vec<f64>,
}

pub const GREY: &str = "#9a9a9a";
pub const BLUE: &str = "#1769aa";
pub const RED: &str = "#c0392b";
pub const GREEN: &str = "#2e7d32";
pub const ORANGE: &str = "#d98200";

const WIDTH: usize = 300;
const HEIGHT: usize = 170;
/// Room of a panel for its title, its scale and its legend.
const TOP: f64 = 24.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 34.0;
const POINTS: usize = 120;

impl Picture {
    pub fn svg(&self) -> String {
        let rows = self.panels.len().div_ceil(self.columns);
        let (width, height) = (WIDTH * self.columns, HEIGHT * rows + 34);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\" font-size=\"11\">\n<title>{}</title>\n<desc>{}</desc>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"10\" y=\"21\" font-size=\"15\">{}</text>\n",
            self.title, self.about, self.title
        );
        for (index, panel) in self.panels.iter().enumerate() {
            let x = (index % self.columns * WIDTH) as f64;
            let y = (index / self.columns * HEIGHT) as f64 + 34.0;
            panel.draw(&mut svg, x, y);
        }
        svg + "</svg>\n"
    }
}

impl Panel {
    fn draw(&self, svg: &mut String, x: f64, y: f64) {
        let (left, top) = (x + LEFT, y + TOP);
        let (right, bottom) = (x + WIDTH as f64 - 12.0, y + HEIGHT as f64 - BOTTOM);
        let mut add = |text: String| {
            svg.push_str(&text);
            svg.push('\n');
        };
        add(format!("<text x=\"{left}\" y=\"{}\" font-weight=\"600\">{}</text>", y + 16.0, self.title));
        add(format!(
            "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\" stroke-width=\"0.8\"/>"
        ));
        for share in [0.0, 0.5, 1.0] {
            let at = bottom - share * (bottom - top);
            add(format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
                left - 4.0,
                at + 4.0,
                share * self.most
            ));
        }
        let seconds = self.lines.first().map_or(0, |line| line.values.len());
        add(format!(
            "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">{seconds} s</text>",
            bottom + 13.0
        ));
        let mut legend = left;
        for line in &self.lines {
            let step = line.values.len().div_ceil(POINTS).max(1);
            let points: Vec<String> = line
                .values
                .chunks(step)
                .enumerate()
                .map(|(index, values)| {
                    let mean = values.iter().sum::<f64>() / values.len() as f64;
                    let across = left + (index * step) as f64 / seconds as f64 * (right - left);
                    let up = bottom - (mean / self.most).min(1.05) * (bottom - top);
                    format!("{across:.0},{up:.1}")
                })
                .collect();
            add(format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\"/>",
                points.join(" "),
                line.color
            ));
            add(format!(
                "<text x=\"{legend}\" y=\"{}\" fill=\"{}\">{}</text>",
                bottom + 26.0,
                line.color,
                line.name
            ));
            legend += 12.0 + 6.2 * line.name.len() as f64;
        }
        add(format!("<text x=\"{left}\" y=\"{}\" fill=\"#555\">{}</text>", bottom + 13.0, self.unit));
    }
}
