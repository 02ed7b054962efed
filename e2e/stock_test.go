//go:build e2e

package e2e

import "testing"

// coreJobs are run on every Spark line. shuffles are those of them whose remote blocks Spark's event log counts.
var (
	shuffles = []string{"groupByKey", "sortByKey", "join", "aqesql", "bigblocks", "smallblocks:maps=100:reduces=100"}
	coreJobs = append([]string{"broadcast", "cachedrdd", "diskrdd", "taskresult", "replication"}, shuffles...)
)

// TestStock shows that the jobs prove something: on stock Spark each has one result, and each shuffle crosses the network.
func TestStock(t *testing.T) {
	all := coreJobs
	if *update {
		all = append(all, faultJobs...)
	}
	r := cluster(t, "3.5.9", 2).Submit(t, Stock, all...)
	if *update {
		writeGolden(t, r.Results)
	}
	r.checkResults(t, len(all))
	jobs := r.Shuffled(t)
	for _, name := range []string{"groupByKey", "sortByKey", "join", "aqesql", "bigblocks", "smallblocks"} {
		job := jobs[name]
		if job == nil || job.RemoteBlocks == 0 || job.RemoteBytes < job.LocalBytes/3 {
			t.Errorf("%s does not read from the other host: %+v", name, job)
		} else if job.FailedTasks != 0 {
			t.Errorf("%s: %+v", name, job)
		}
	}
}
