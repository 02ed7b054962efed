// Package model reckons what an iteration of BigDL takes on clusters that nobody has measured: a simulation, event by event, of its fetches, the
// driver's answers and shared links, fed by costs that were measured or published. docs/model.md says which, and how far off it is.
//
// It measures nothing, knows neither Spark nor weft, and its output is never to be drawn or quoted as a measurement.
package model
