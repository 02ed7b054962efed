package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weft/internal/status"
)

// headerPatience bounds how long a client may take to send its request.
const headerPatience = 10 * time.Second

// adminHandler is what the admin socket answers; who may open the socket may read all of it.
func adminHandler(current func() (*status.Status, error), metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s, err := current()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s) // an error is the client's going away
	})
	mux.Handle("GET /metrics", metricsHandler(metrics))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// publicHandler is what weft.metrics.address answers.
func publicHandler(metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(metrics))
	return mux
}

func metricsHandler(metrics prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})
}

// webServer is an HTTP server that was started.
type webServer struct {
	server http.Server
	done   chan error
}

func serveHTTP(l net.Listener, h http.Handler) *webServer {
	w := &webServer{server: http.Server{Handler: h, ReadHeaderTimeout: headerPatience}, done: make(chan error, 1)}
	go func() { w.done <- w.server.Serve(l) }()
	return w
}

// close lets answers that are under way end until ctx does.
func (w *webServer) close(ctx context.Context) error {
	err := w.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, w.server.Close())
	}
	if served := <-w.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
