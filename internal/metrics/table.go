package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// fetchBuckets reach from a block of the same rack's page cache to the usual time-outs, in seconds.
var fetchBuckets = []float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
}

// Metric is what the documentation tells about one metric.
type Metric struct {
	Name   string
	Kind   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// table builds and registers metrics and remembers what it built. A name declared twice panics: it is a mistake in set.go.
type table struct {
	registry *prometheus.Registry
	metrics  []Metric
}

func (t *table) add(c prometheus.Collector, kind, name, help string, labels ...string) {
	t.registry.MustRegister(c)
	t.metrics = append(t.metrics, Metric{Name: name, Kind: kind, Labels: labels, Help: help})
}

func (t *table) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	t.add(v, "counter", name, help, labels...)
	return v
}

func (t *table) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	t.add(v, "gauge", name, help, labels...)
	return v
}

func (t *table) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	t.add(v, "histogram", name, help, labels...)
	return v
}

func (t *table) counter(name, help string) prometheus.Counter {
	return t.counterVec(name, help).WithLabelValues()
}

func (t *table) counter1(name, label, help string) func(string) prometheus.Counter {
	v := t.counterVec(name, help, label)
	return func(value string) prometheus.Counter { return v.WithLabelValues(value) }
}

func (t *table) counter2(name, label1, label2, help string) func(string, string) prometheus.Counter {
	v := t.counterVec(name, help, label1, label2)
	return func(value1, value2 string) prometheus.Counter { return v.WithLabelValues(value1, value2) }
}

func (t *table) gauge(name, help string) prometheus.Gauge {
	return t.gaugeVec(name, help).WithLabelValues()
}

func (t *table) gauge1(name, label, help string) func(string) prometheus.Gauge {
	v := t.gaugeVec(name, help, label)
	return func(value string) prometheus.Gauge { return v.WithLabelValues(value) }
}

func (t *table) gauge2(name, label1, label2, help string) func(string, string) prometheus.Gauge {
	v := t.gaugeVec(name, help, label1, label2)
	return func(value1, value2 string) prometheus.Gauge { return v.WithLabelValues(value1, value2) }
}

func (t *table) histogram(name string, buckets []float64, help string) prometheus.Observer {
	return t.histogramVec(name, help, buckets).WithLabelValues()
}

func (t *table) histogram1(name, label string, buckets []float64, help string) func(string) prometheus.Observer {
	v := t.histogramVec(name, help, buckets, label)
	return func(value string) prometheus.Observer { return v.WithLabelValues(value) }
}
