// Package report draws what training runs gave: one HTML page that needs nothing beside it, and its plots as PNG files. It measures
// nothing, leaves failed runs in the tables as failed, and draws what a model computed apart from what was measured.
package report

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"

	"weft/bench/result"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"svg": func(f figure) (template.HTML, error) {
		s, err := f.svg()
		return template.HTML(s), err // drawn here: what it has of the runs was escaped on the way into it
	},
	"num": num, "ratio": ratio, "link": linkLabel, "bytes": mega, "length": length,
}).Parse(pageText))

// Write makes dir/report anew, of the runs in dir and of what `weft bench model` left there: report.html and the PNG files. It returns the
// page's name.
func Write(dir string) (string, error) {
	runs, err := result.LoadAll(dir)
	if err != nil {
		return "", err
	}
	model, err := loadModel(dir)
	if err != nil {
		return "", err
	}
	c, err := newContent(runs, model)
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "report")
	if err := os.RemoveAll(out); err != nil {
		return "", err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	for _, s := range append(c.Sections, c.Model) {
		for _, f := range s.Figures {
			if err := f.savePNG(out); err != nil {
				return "", err
			}
		}
	}
	name := filepath.Join(out, "report.html")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	if err := errors.Join(page.Execute(f, c), f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return name, nil
}

// newContent is what the page shows.
func newContent(runs []result.Run, model []modelRow) (content, error) {
	gs := groupBy(runs, result.Config.Arm)
	c := content{Published: published, Comparisons: comparisons(gs), Runs: table(runs), Machines: machines(runs)}
	for _, r := range runs {
		if r.Failure != "" {
			c.Failed++
		}
	}
	for _, section := range []func() (section, error){
		func() (section, error) { return publishedSection(runs) },
		func() (section, error) { return ablationSection(runs) },
		func() (section, error) { return accuracySection(gs) },
		func() (section, error) { return epochSection(gs) },
		func() (section, error) { return resourceSection(gs) },
	} {
		s, err := section()
		if err != nil {
			return content{}, err
		}
		c.Sections = append(c.Sections, s)
	}
	var err error
	if len(model) > 0 {
		c.Model, err = modelSection(model)
	}
	return c, err
}
