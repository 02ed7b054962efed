package soak

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"os"
	"slices"
	"strings"

	"weft/bench/report"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// drawn is how many points a figure's curve of one host has at most.
const drawn = 600

type plot struct {
	Title string
	SVG   template.HTML
}

type row struct {
	Verdict
	Title, Start, Slope, Rise, Bounds string
}

// savePage writes the page, which needs nothing beside it.
func (r *Run) savePage(name string) error {
	content := struct {
		*Run
		Hours float64
		Rows  []row
		Plots []plot
	}{Run: r, Hours: r.Seconds / 3600}
	for _, v := range r.Verdicts {
		f := figure(v.Figure)
		bounds := fmt.Sprintf("%.0f %% and %s", 100*f.Bound.Relative, f.show(f.Bound.Absolute))
		content.Rows = append(content.Rows, row{v, f.Title, f.show(v.First), f.show(v.PerHour), f.show(v.Grew), bounds})
	}
	for _, f := range Figures {
		svg, err := report.Curves("minutes", f.axis(), r.curves(f))
		if err != nil {
			return err
		}
		content.Plots = append(content.Plots, plot{f.Title, template.HTML(svg)}) // drawn here, of numbers and names of hosts
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(page.Execute(file, content), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (f Figure) axis() string {
	if f.Unit == "" {
		return "number"
	}
	return f.Unit
}

// curves are one for each life, those of a host of one name. Where there are too many samples, the highest of some is drawn.
func (r *Run) curves(f Figure) (all []report.Curve) {
	by := f.By
	if by == 0 {
		by = 1
	}
	width := max(r.Seconds/drawn, 1e-9)
	for _, l := range r.Lives {
		c, last := report.Curve{Name: l.Host}, -1
		for _, s := range l.Samples {
			value := s.Values[f.Name] / by
			if n := int(s.At / width); n != last {
				last = n
				c.X, c.Y = append(c.X, s.At/60), append(c.Y, value)
			}
			c.Y[len(c.Y)-1] = max(c.Y[len(c.Y)-1], value)
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b report.Curve) int { return strings.Compare(a.Name, b.Name) })
	return all
}
