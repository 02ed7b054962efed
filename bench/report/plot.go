package report

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of the PNG files in pixels.
const (
	Width, Height = 960, 540
	dpi           = 96
)

// figure is one plot, in the page and as a file.
type figure struct {
	name  string // of the file, without .png
	Title string
	Note  string // what to know when reading it
	plot  *plot.Plot
}

// line is a series of points. Lines of equal names have one entry in the legend.
type line struct {
	name   string
	points plotter.XYs
	color  color.Color
	thin   bool
	dashed bool
}

// bar is a horizontal bar, of parts put end to end; low and high are the ends of its spread, where high is not 0.
type bar struct {
	label     string
	parts     []float64
	colors    []color.Color
	low, high float64
}

func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, s := range []*draw.TextStyle{&p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		s.Font.Variant = "Sans"
	}
	p.Legend.Top = true
	p.Legend.Padding = vg.Points(2)
	return p
}

// lines draws series over an axis from 0.
func lines(x, y string, series []line) (*plot.Plot, error) {
	p := newPlot(x, y)
	p.Add(plotter.NewGrid())
	named := map[string]bool{}
	for _, s := range series {
		l, points, err := plotter.NewLinePoints(s.points)
		if err != nil {
			return nil, fmt.Errorf("plot of %s over %s: %w", y, x, err)
		}
		l.Color, l.Width = s.color, vg.Points(2)
		points.Color, points.Shape, points.Radius = s.color, draw.CircleGlyph{}, vg.Points(2.5)
		if s.dashed {
			l.Dashes = []vg.Length{vg.Points(6), vg.Points(4)}
		}
		if s.thin {
			l.Width = vg.Points(0.5)
			p.Add(l)
			continue
		}
		p.Add(l, points)
		if !named[s.name] {
			named[s.name] = true
			p.Legend.Add(s.name, l)
		}
	}
	p.X.Min, p.Y.Min = min(p.X.Min, 0), min(p.Y.Min, 0)
	p.Y.Max *= 1.15 // room for the legend
	return p, nil
}

// bars draws bars from top to bottom, each with its length in numbers; legend names the parts.
func bars(x string, all []bar, legend []string) (*plot.Plot, error) {
	p := newPlot(x, "")
	width := vg.Length(min(28, 240/float64(len(all))))
	labels := make([]string, len(all))
	for i, b := range all {
		at := float64(len(all) - 1 - i)
		var below *plotter.BarChart
		sum := 0.0
		for j, v := range b.parts {
			c, err := plotter.NewBarChart(plotter.Values{v}, width)
			if err != nil {
				return nil, fmt.Errorf("bar %s: %w", b.label, err)
			}
			c.Horizontal, c.XMin, c.Color, c.LineStyle.Width = true, at, b.colors[j], 0
			if below != nil {
				c.StackOn(below)
			}
			below = c
			p.Add(c)
			sum += v
			if i == 0 && j < len(legend) {
				p.Legend.Add(legend[j], c)
			}
		}
		labels[len(all)-1-i] = b.label + ": " + num(sum)
		if b.high > 0 {
			e, err := plotter.NewXErrorBars(spread{plotter.XYs{{X: sum, Y: at}}, plotter.XErrors{{Low: sum - b.low, High: b.high - sum}}})
			if err != nil {
				return nil, fmt.Errorf("spread of %s: %w", b.label, err)
			}
			p.Add(e)
		}
	}
	p.NominalY(labels...)
	p.Y.Min, p.Y.Max = -0.5, float64(len(all))-0.5
	p.X.Min = min(p.X.Min, 0)
	p.X.Max *= 1.02
	if legend != nil {
		p.Y.Max += 0.12 * float64(len(legend)*len(all)) // room for it
	}
	return p, nil
}

type spread struct {
	plotter.XYs
	plotter.XErrors
}

// svg is the figure for the page.
func (f figure) svg() (string, error) {
	c := vgsvg.New(pixels(Width), pixels(Height))
	f.plot.Draw(padded(draw.New(c)))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", fmt.Errorf("figure %s: %w", f.name, err)
	}
	_, svg, ok := bytes.Cut(b.Bytes(), []byte("<svg")) // without the heading of a file
	if !ok {
		return "", fmt.Errorf("figure %s: no SVG in %.40q", f.name, b.Bytes())
	}
	return "<svg" + string(svg), nil
}

// savePNG writes the figure to dir, with title and note in it.
func (f figure) savePNG(dir string) error {
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(pixels(Width), pixels(Height)), vgimg.UseDPI(dpi))}
	p := *f.plot
	p.Title.Text, p.Title.Padding = wrapped(f.Title, lineLength)+"\n"+wrapped(f.Note, lineLength), vg.Points(6)
	p.Title.TextStyle.Font.Variant, p.Title.TextStyle.Font.Size = "Sans", vg.Points(10)
	p.Draw(padded(draw.New(c)))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return fmt.Errorf("figure %s: %w", f.name, err)
	}
	return os.WriteFile(filepath.Join(dir, f.name+".png"), b.Bytes(), 0o644)
}

const lineLength = 120 // letters of a title that fit into a picture, about

// wrapped has a line's end in place of a space wherever a line would have more than most letters.
func wrapped(s string, most int) string {
	var lines []string
	for _, word := range strings.Fields(s) {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(word) <= most {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return strings.Join(lines, "\n")
}

func padded(c draw.Canvas) draw.Canvas {
	return draw.Crop(c, vg.Points(8), -vg.Points(16), vg.Points(8), -vg.Points(8))
}

func pixels(n int) vg.Length { return vg.Length(n) * vg.Inch / dpi }

// Curve is a series of points for another page. Curves of equal names have one colour and one entry in the legend.
type Curve struct {
	Name string
	X, Y []float64
}

// Curves draws them over an axis from 0, as SVG to put into HTML.
func Curves(x, y string, curves []Curve) (string, error) {
	var all []line
	var names []string
	for _, c := range curves {
		if !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
		l := line{name: c.Name, color: palette[slices.Index(names, c.Name)%len(palette)]}
		for i := range c.X {
			l.points = append(l.points, plotter.XY{X: c.X[i], Y: c.Y[i]})
		}
		all = append(all, l)
	}
	p, err := lines(x, y, all)
	if err != nil {
		return "", err
	}
	return figure{name: y, plot: p}.svg()
}
