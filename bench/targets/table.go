package targets

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// WriteTable prints the figures, and below them how many were met and why others were not measured.
func WriteTable(w io.Writer, figures []Figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\ttarget\tvalue (min..max)\t")
	met, measured := 0, 0
	for _, f := range figures {
		bound, value, verdict := "at least ", "not measured", ""
		if f.AtMost {
			bound = "at most "
		}
		if f.Value != nil {
			measured++
			value, verdict = fmt.Sprintf("%s (%s..%s)", number(*f.Value), number(f.Spread[0]), number(f.Spread[1])), "missed"
		}
		if f.OK {
			met++
			verdict = "met"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Figure, bound+number(f.Target), value, verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	notes, whys := group(figures, func(f Figure) string { return f.Note }), group(figures, func(f Figure) string { return f.Why })
	for _, g := range notes {
		fmt.Fprintf(w, "\n%s:\n  %s\n", g.figures, g.text)
	}
	for _, g := range whys {
		fmt.Fprintf(w, "\nnot measured: %s:\n  %s\n", g.figures, g.text)
	}
	_, err := fmt.Fprintf(w, "\n%d of %d targets met, %d not measured\n", met, len(figures), len(figures)-measured)
	return err
}

// said is a text, and the figures that have it.
type said struct{ text, figures string }

// group has each text once, in the order of the figures.
func group(figures []Figure, text func(Figure) string) (groups []said) {
	for _, f := range figures {
		i := slices.IndexFunc(groups, func(g said) bool { return g.text == text(f) })
		switch {
		case text(f) == "":
		case i < 0:
			groups = append(groups, said{text(f), f.Figure})
		default:
			groups[i].figures += "\n  and " + f.Figure
		}
	}
	return groups
}

// number has four digits that count, and the bytes of a memory all of them.
func number(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
