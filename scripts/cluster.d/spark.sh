# Spark's processes on the hosts of a cluster. Sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154

readonly master=spark://h0:7077

# Java 17 hides what Spark before 3.3 does not open by itself.
opens() {
	local package
	for package in java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util \
		java.util.concurrent java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar; do
		printf -- '--add-opens=java.base/%s=ALL-UNNAMED ' "$package"
	done
}

# java_home prints the home of a Java 17 (newer ones cannot run Spark, older ones are not tested).
java_home() {
	local home
	for home in "${JAVA_HOME:-}" /usr/lib/jvm/java-17-openjdk-* "$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")"; do
		if [[ -x $home/bin/java && -f $home/release ]] && grep -q '^JAVA_VERSION="17\.' "$home/release"; then
			echo "$home"
			return
		fi
	done
	die "no Java 17 found: run 'make setup' or set JAVA_HOME"
}

# spark_environment sets what Spark's scripts would set.
spark_environment() {
	export JAVA_HOME SPARK_HOME=$spark_home SPARK_CONF_DIR=$dir/conf SPARK_SCALA_VERSION
	JAVA_HOME=$(java_home)
	SPARK_SCALA_VERSION=$(basename "$spark_home"/jars/spark-core_*.jar | sed 's/spark-core_\(.*\)-.*/\1/')
}

# spark_up [KEY=VALUE...] starts the Master and the Workers with these keys, and applications with $java_options.
spark_up() {
	mkdir -p "$dir/conf" "$dir/events"
	# Readers must not find their input on their own host by luck: tasks go anywhere, and only
	# when all executors are there.
	cat >"$dir/conf/spark-defaults.conf" <<-CONF
		spark.master                                       $master
		spark.driver.host                                  h0
		spark.driver.bindAddress                           h0
		spark.driver.defaultJavaOptions                    $(opens)$java_options
		spark.executor.defaultJavaOptions                  $(opens)$java_options
		spark.ui.enabled                                   false
		spark.serializer                                   org.apache.spark.serializer.KryoSerializer
		spark.eventLog.enabled                             true
		spark.eventLog.dir                                 file:$dir/events
		spark.eventLog.compress                            false
		spark.eventLog.rolling.enabled                     false
		spark.locality.wait                                0
		spark.shuffle.reduceLocality.enabled               false
		spark.scheduler.minRegisteredResourcesRatio        1.0
		spark.scheduler.maxRegisteredResourcesWaitingTime  60s
	CONF
	# At an application's end a Worker stops reading from its executors before it ends them, and what they say last is
	# lost. So executors start by this java, which gives them a file of their own.
	mkdir -p "$dir/java/bin"
	printf '#!/bin/sh\nexec %s/bin/java "$@" 2>>stderr.log\n' "$(java_home)" >"$dir/java/bin/java"
	chmod +x "$dir/java/bin/java"
	spark_distribution
	java_daemon h0 master "$@" -- org.apache.spark.deploy.master.Master -h h0 -p 7077 --webui-port 8080
	await_log "the Master does not come up" master_is_up
	local h
	for h in $workers; do start_worker "$h" "$@"; done
	# shellcheck disable=SC2086
	await_workers "$(wc -w <<<"$workers")"
}

# spark_distribution makes DIR/spark what programs on h0 want to have of a distribution of Spark: build/spark has the jars alone.
spark_distribution() {
	mkdir -p "$dir/spark/bin"
	ln -sfn "$spark_home/jars" "$dir/spark/jars"
	cat >"$dir/spark/bin/spark-submit" <<-SCRIPT
		#!/usr/bin/env bash
		set -euo pipefail
		dir=${dir@Q} spark_home=${spark_home@Q}
		source ${root@Q}/scripts/cluster.d/spark.sh
		die() { echo "spark-submit: \$*" >&2 && exit 1; }
		enter() { exec "\${@:2}"; } # it is there
		spark_submit "\$@"
	SCRIPT
	chmod +x "$dir/spark/bin/spark-submit"
}

# start_worker HOST [KEY=VALUE...]
start_worker() {
	local h=$1
	shift
	mkdir -p "$dir/$h/executors"
	java_daemon "$h" worker "$@" -- org.apache.spark.deploy.worker.Worker -h "$h" -c "$cores" -m "$memory" \
		-d "$dir/$h/executors" "$master"
}

# java_daemon HOST NAME [KEY=VALUE...] -- CLASS ARGUMENT... starts Java in the background.
java_daemon() {
	local h=$1 name=$2 flags=()
	shift 2
	while [[ $1 != -- ]]; do
		flags+=("-D$1")
		shift
	done
	shift
	spark_environment
	# shellcheck disable=SC2046
	(enter "$h" setsid env JAVA_HOME="$dir/java" "$JAVA_HOME/bin/java" $(opens) -Xmx512m \
		-XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${flags+"${flags[@]}"} -cp "$dir/conf:$spark_home/jars/*" "$@" \
		</dev/null >>"$dir/log/$h-$name.log" 2>&1) &
}

# A Worker that comes before that is not registered, though the Master says so, and tries again seconds later.
master_is_up() { grep -q 'New state: ALIVE' "$dir/log/h0-master.log"; }

registered_workers() { cat "$dir"/log/*-worker.log | grep -c 'Successfully registered with master' || true; }

enough_workers() { (($(registered_workers) >= $1)); }

# await_workers COUNT waits until Workers have registered that many times since the Master's start.
await_workers() { await_log "the Workers do not reach the Master" enough_workers "$1"; }

# await_log COMPLAINT COMMAND... waits until the command succeeds, which looks into the logs.
await_log() {
	local complaint=$1 i
	shift
	for ((i = 0; i < 600; i++)); do
		"$@" 2>/dev/null && return
		sleep 0.1
	done
	tail -n 5 "$dir"/log/*.log >&2
	die "$complaint in 60 s (logs in $dir/log)"
}

# spark_submit ARGUMENT... replaces this shell by a driver on h0. Spark's own launcher makes the
# command, so that driver options and class paths act as with the real spark-submit.
spark_submit() {
	spark_environment
	local command=()
	mapfile -d '' -t command < <("$JAVA_HOME/bin/java" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$spark_home/jars/*" \
		org.apache.spark.launcher.Main org.apache.spark.deploy.SparkSubmit "$@")
	((${#command[@]})) || die "Spark's launcher refused these arguments"
	# From Spark 3.2 on an empty line and its NUL come first.
	[[ -n ${command[0]} ]] || command=("${command[@]:1}")
	command[0]=${command[0]#$'\n'}
	enter h0 "${command[@]}"
}
