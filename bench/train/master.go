package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"weft/bench/sample"
)

// master is a standalone Spark that runs already. Nothing of it is on this machine but what happens to be; drivers are.
type master struct {
	sparkHome string
	dir       string // of event logs
	host      string // this machine
}

func (c Config) newMaster() (*master, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	m := &master{sparkHome: c.SparkHome, dir: c.clusterEvents(), host: host}
	return m, os.MkdirAll(m.dir, 0o755)
}

func (c Config) clusterEvents() string { return filepath.Join(c.Out, "cluster-events") }

func (m *master) submit(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(m.sparkHome, "bin/spark-submit"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (m *master) processes(ctx context.Context) ([]sample.Process, error) {
	return sample.Machine(m.host)(ctx)
}

func (m *master) eventLogs() string                    { return m.dir }
func (m *master) sampled() string                      { return m.host }
func (m *master) ready(context.Context, row) error     { return nil }
func (m *master) idle(context.Context) error           { return nil }
func (m *master) cpu(context.Context) (float64, error) { return 0, nil }
func (m *master) spoilt()                              {}
func (m *master) down(context.Context) error           { return nil }

var sparkCore = regexp.MustCompile(`spark-core_[0-9.]+-([0-9.]+)\.jar$`)

// sparkVersion is that of a distribution.
func sparkVersion(home string) (string, error) {
	if home == "" {
		return "", errors.New("--master needs --spark-home (or SPARK_HOME): a distribution of the cluster's Spark, whose spark-submit is run here")
	}
	names, err := filepath.Glob(filepath.Join(home, "jars", "spark-core_*.jar"))
	if err != nil {
		return "", err
	}
	if len(names) == 1 {
		if m := sparkCore.FindStringSubmatch(names[0]); m != nil {
			return m[1], nil
		}
	}
	return "", fmt.Errorf("%s is no distribution of Spark: it has no jars/spark-core_*-VERSION.jar", home)
}

// findSpark makes the cluster's version the table's.
func (c *Config) findSpark() error {
	if c.Table.Master == "" {
		if c.SparkHome != "" || c.NodeBuild != "" {
			return errors.New("--spark-home and --node-build are of a cluster: they need --master")
		}
		return nil
	}
	version, err := sparkVersion(c.SparkHome)
	if err != nil {
		return err
	}
	for _, asked := range c.Table.Sparks {
		if asked != version {
			return fmt.Errorf("--spark %s: %s is Spark %s", asked, c.SparkHome, version)
		}
	}
	c.Table.Sparks = []string{version}
	return nil
}

// device is what spark.weft.rdma.device is in an arm.
var device = map[string]string{WeftTCP: "none", WeftRDMA: "auto"}

// daemonConf makes an arm's daemons its own: those of the other arm, or that run as a service, have other devices. They are there no more when
// the next application of the arm begins.
func daemonConf(impl string) map[string]string {
	return map[string]string{
		"spark.weft.daemon.mode":  "auto",
		"spark.weft.daemon.grace": "1s",
		"spark.weft.socket.dir":   fmt.Sprintf("/tmp/weft-bench-%d-%s", os.Getuid(), strings.TrimPrefix(impl, "weft-")),
	}
}
