package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cores returns two cores: one for the proxy and one for everything else. On a machine with one core they are the same, which
// lowers the request rate but not the CPU time of a request.
func cores() (proxy, rest int, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, 0, fmt.Errorf("sched_getaffinity: %w", err)
	}
	proxy, rest = -1, -1
	for core := range len(all) * 64 {
		if !all.IsSet(core) {
			continue
		}
		if rest < 0 {
			rest = core // the first core also serves most interrupts
		}
		proxy = core
	}
	return proxy, rest, nil
}

// stayOn pins all threads of this process to a core. New threads inherit it.
func stayOn(core int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := pin(id, core); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// startOn starts a process that is pinned to a core from the beginning. The kernel kills it when this process ends for any
// reason.
func startOn(core int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	if err := pin(0, core); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before) // a child inherits the affinity of the thread that starts it
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Start()
}

func pin(thread, core int) error {
	var one unix.CPUSet
	one.Set(core)
	if err := unix.SchedSetaffinity(thread, &one); err != nil {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return nil
}

// cpuTime returns the user and system time of all threads of a process, with a resolution of nanoseconds. /proc/PID/stat counts
// hundredths of a second, and /proc/PID/schedstat only one thread.
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2                  // CPUCLOCK_SCHED
	clock := ^uint32(pid)<<3 | scheduled // clock_getcpuclockid(3)
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(clock), &spent); err != nil {
		return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(spent.Nano()), nil
}
