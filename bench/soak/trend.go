package soak

import (
	"fmt"
	"math"
	"slices"

	"weft/bench/summary"
)

const (
	warmUp = 0.2  // of the time, at its beginning, that is not judged
	fewest = 5    // points after that
	most   = 1000 // points that are compared with each other
)

// Point is a value at a time, in seconds.
type Point struct{ At, Value float64 }

// Bound is what may be grown by over the run. What grows by more than both has a trend.
type Bound struct {
	Relative float64 // to the first value; 0.25 is a quarter of it
	Absolute float64 // in the unit of the values
}

// Trend is the straight line through points.
type Trend struct {
	First   float64 `json:"first"`    // its value where judging began, after the warm-up
	PerHour float64 `json:"per_hour"` // its slope: the median of the slopes between all pairs of points (Theil and Sen's)
	Grew    float64 `json:"grew"`     // its rise from there to the last point
	Fails   bool    `json:"fails"`    // it grew by more than both bounds
}

// trendOf judges points in the order of their times. The first fifth of the time is warm-up. It is an error if fewer than five points are
// left: the run was too short.
func trendOf(points []Point, b Bound) (Trend, error) {
	points = warm(points)
	if len(points) < fewest {
		return Trend{}, fmt.Errorf("%d times of rest after the warm-up, and %d are needed: let the run be longer", len(points), fewest)
	}
	first, last := points[0], points[len(points)-1]
	few := thin(points)
	var slopes []float64
	for i, p := range few {
		for _, q := range few[i+1:] {
			if q.At > p.At {
				slopes = append(slopes, (q.Value-p.Value)/(q.At-p.At))
			}
		}
	}
	slope := summary.Median(slopes)
	starts := make([]float64, len(few))
	for i, p := range few {
		starts[i] = p.Value - slope*(p.At-first.At)
	}
	t := Trend{First: summary.Median(starts), PerHour: slope * 3600, Grew: slope * (last.At - first.At)}
	t.Fails = t.Grew > b.Absolute && t.Grew > b.Relative*math.Abs(t.First)
	return t, nil
}

// warm leaves the warm-up out.
func warm(points []Point) []Point {
	if len(points) == 0 {
		return nil
	}
	first, last := points[0].At, points[len(points)-1].At
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.At < first+warmUp*(last-first) })
}

// thin takes every second, third ... point, so that there are not too many pairs.
func thin(points []Point) (few []Point) {
	step := (len(points) + most - 1) / most
	for i := 0; i < len(points); i += step {
		few = append(few, points[i])
	}
	return few
}
