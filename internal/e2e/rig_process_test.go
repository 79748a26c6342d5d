package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sallyport/internal/testlog"
	"sync"
	"syscall"
	"time"
)

// A process is a child process in its own process group.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed at the end of the process
	status error         // the result of Wait
}

// startProcess starts a program whose output goes to out.
func startProcess(out io.Writer, env []string, name string, args ...string) (*process, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	return begin(cmd)
}

func begin(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	reaper.note("+", cmd.Process.Pid)
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.status = cmd.Wait()
		reaper.note("-", cmd.Process.Pid)
		close(p.ended)
	}()
	return p, nil
}

// reaper is a shell that kills the remaining process groups when the test binary ends, also by an interrupt or a timeout. It detects
// the end by the end of its standard input.
var reaper processReaper

type processReaper struct {
	mu sync.Mutex
	w  io.Writer // the shell's standard input
}

const reaperScript = `
declare -A alive
while read -r op pid; do
	if [ "$op" = + ]; then alive[$pid]=1; else unset "alive[$pid]"; fi
done
for pid in "${!alive[@]}"; do kill -9 -- "-$pid"; done`

func startReaper() error {
	cmd := exec.Command("bash", "-c", reaperScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that it doesn't get an interrupt from the terminal
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	reaper.w = in
	return cmd.Start()
}

// note reports to the shell that a process group has started (+) or ended (-).
func (r *processReaper) note(op string, pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.w, op, pid)
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill kills the whole process group and waits for it. It does nothing for a nil process.
func (p *process) kill() {
	if p == nil {
		return
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// running reports whether the process is alive.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// A logBuffer has the output of a process.
type logBuffer = testlog.Buffer
