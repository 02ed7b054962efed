package targets

import (
	"fmt"
	"io"
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
	for _, f := range figures {
		if f.Note != "" {
			fmt.Fprintf(w, "\n%s:\n  %s\n", f.Figure, f.Note)
		}
		if f.Why != "" {
			fmt.Fprintf(w, "\n%s:\n  not measured: %s\n", f.Figure, f.Why)
		}
	}
	_, err := fmt.Fprintf(w, "\n%d of %d targets met, %d not measured\n", met, len(figures), len(figures)-measured)
	return err
}

// number has four digits that count, and the bytes of a memory all of them.
func number(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
