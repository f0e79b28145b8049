#include "test/e2e/IsolatedRuns.h"

#include "llvm/ADT/StringRef.h"
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace moec::e2e {
namespace {

/// A process that does the runs first, first + step, ...; the parent sees each
/// result as a line.
class Worker {
public:
  Worker(size_t first, size_t step, size_t count, const std::function<std::string(size_t)> &run,
         unsigned timeoutSeconds, std::vector<std::string> &results)
      : next(first), step(step), count(count), run(run), timeoutSeconds(timeoutSeconds),
        results(results) {
    if (next < count)
      start();
  }

  bool isDone() const { return next >= count; }
  int descriptor() const { return pipe; }

  /// Takes what the process wrote; after a crash, goes on in a new one.
  void readMore() {
    char buffer[4096];
    ssize_t bytes = read(pipe, buffer, sizeof buffer);
    if (bytes < 0 && errno == EINTR)
      return;
    for (char c : llvm::StringRef(buffer, std::max<ssize_t>(bytes, 0))) {
      if (c != '\n') {
        line += c;
        continue;
      }
      results[next] = std::move(line);
      line.clear();
      next += step;
    }
    if (bytes > 0)
      return;
    int status = 0;
    close(pipe);
    waitpid(process, &status, 0);
    std::string output = takeErrorOutput();
    line.clear();
    if (isDone())
      return;
    results[next] = describe(status) + (output.empty() ? "" : ": " + output);
    next += step;
    if (!isDone())
      start();
  }

private:
  void start() {
    int ends[2];
    errorOutput = memfd_create("stderr", 0);
    if (::pipe(ends) != 0 || errorOutput < 0) {
      perror("cannot start a process");
      std::exit(1);
    }
    process = fork();
    if (process == 0) {
      close(ends[0]);
      work(ends[1]);
    }
    close(ends[1]);
    pipe = ends[0];
  }

  [[noreturn]] void work(int out) {
    dup2(errorOutput, STDERR_FILENO);
    for (size_t i = next; i < count; i += step) {
      alarm(timeoutSeconds);
      std::string result = run(i);
      std::replace(result.begin(), result.end(), '\n', ' ');
      result += '\n';
      if (write(out, result.data(), result.size()) != static_cast<ssize_t>(result.size()))
        _exit(1);
    }
    // Nothing of the parent's is to be destroyed here.
    _exit(0);
  }

  static std::string describe(int status) {
    if (WIFSIGNALED(status))
      return WTERMSIG(status) == SIGALRM ? "timed out"
                                         : std::string("crashed: ") + strsignal(WTERMSIG(status));
    return "ended with status " + std::to_string(WEXITSTATUS(status));
  }

  std::string takeErrorOutput() {
    char buffer[2000];
    off_t size = lseek(errorOutput, 0, SEEK_END);
    ssize_t bytes = pread(errorOutput, buffer, sizeof buffer,
                          std::max<off_t>(0, size - static_cast<off_t>(sizeof buffer)));
    close(errorOutput);
    llvm::StringRef text(buffer, std::max<ssize_t>(bytes, 0));
    return text.rtrim().rsplit('\n').second.empty() ? text.rtrim().str()
                                                    : text.rtrim().rsplit('\n').second.str();
  }

  size_t next, step, count;
  const std::function<std::string(size_t)> &run;
  unsigned timeoutSeconds;
  std::vector<std::string> &results;
  pid_t process = 0;
  int pipe = -1, errorOutput = -1;
  std::string line;
};

} // namespace

std::vector<std::string> runIsolated(size_t count, const std::function<std::string(size_t)> &run,
                                     const IsolationOptions &options) {
  std::vector<std::string> results(count);
  std::vector<Worker> workers;
  for (unsigned job = 0; job < options.jobs; ++job)
    workers.emplace_back(job, options.jobs, count, run, options.timeoutSeconds, results);
  while (true) {
    std::vector<pollfd> waiting;
    std::vector<Worker *> busy;
    for (Worker &worker : workers)
      if (!worker.isDone()) {
        waiting.push_back({worker.descriptor(), POLLIN, 0});
        busy.push_back(&worker);
      }
    if (busy.empty())
      return results;
    poll(waiting.data(), waiting.size(), -1);
    for (size_t i = 0; i < busy.size(); ++i)
      if (waiting[i].revents)
        busy[i]->readMore();
  }
}

} // namespace moec::e2e
