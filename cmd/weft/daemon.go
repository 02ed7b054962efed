package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"weft/daemon"
	"weft/internal/options"
	"weft/internal/version"
)

func daemonCommand() *cobra.Command {
	var flags optionFlags
	c := &cobra.Command{
		Use:   "daemon",
		Short: "Run the daemon of this host, in the foreground",
		Long: "Runs the daemon of this host in the foreground. It prints one line on stdout when it is ready, logs to stderr, and ends with exit\n" +
			"code 0 on SIGTERM or, with --daemon-grace, when no executor was connected for that long. Exit code 3: another daemon serves the\n" +
			"socket directory. Options may also stand in a YAML file or in the environment (--memory-max is weft.memory.max and\n" +
			"WEFT_MEMORY_MAX); docs/configuration.md explains them.",
		Example: "  weft daemon                                        # until SIGTERM, for the executors of this user\n" +
			"  weft daemon --net-cidr 10.1.0.0/16 --memory-max 4g # announce the fast network, up to 4 GiB of shared memory\n" +
			"  weft daemon --config /etc/weft.yaml                # as deploy/weft.service starts it",
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			opts, err := options.Load(flags.sources())
			if err != nil {
				return fmt.Errorf("options: %w", err)
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: opts.LogLevel}))
			signal.Ignore(unix.SIGPIPE, unix.SIGHUP) // whoever reads stdout or stderr may die first
			if opts.DaemonGrace > 0 {
				leaveSession(log)
			}
			return daemon.Run(c.Context(), opts, log, func(info daemon.Info) {
				_, _ = fmt.Fprintln(c.OutOrStdout(), readyLine(info))
			})
		},
	}
	flags.add(c)
	return c
}

// readyLine is what the starter of a daemon waits for.
func readyLine(info daemon.Info) string {
	announced := "none"
	if len(info.Announced) > 0 {
		words := make([]string, len(info.Announced))
		for i, a := range info.Announced {
			words[i] = a.String()
		}
		announced = strings.Join(words, ",")
	}
	return fmt.Sprintf("weft daemon ready: pid=%d socket=%s port=%d announced=%s version=%s",
		os.Getpid(), info.BridgeSocket, info.PeerPort, announced, version.String())
}

// leaveSession takes a daemon that an executor started out of the executor's process group and terminal, whose signals are not
// meant for it. A process group's leader can't: it has a group of its own already.
func leaveSession(log *slog.Logger) {
	if _, err := unix.Setsid(); err != nil && unix.Getpgrp() != os.Getpid() {
		log.Warn("the daemon stays in its starter's session and ends with it", "err", err)
	}
}
