//===- onnx_node_tests.cpp - moec on the ONNX node tests ------------------===//
//
// Every case is compiled in this process and run in three modes. What fails is
// listed with a reason in onnx-node-tests-expected-failures.txt, and the list
// is strict: a listed case that passes fails the run. The families that
// decoders are made of are named in onnx-node-tests-must-pass.txt, and no case
// of theirs can be listed.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/IsolatedRuns.h"
#include "test/e2e/NodeTest.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <map>
#include <set>

using namespace llvm;
using namespace moec::e2e;

namespace {

cl::OptionCategory options("onnx-node-tests");
cl::opt<std::string> tests(cl::Positional, cl::desc("FOLDER"), cl::Required, cl::cat(options));
cl::opt<std::string> expected("expected", cl::desc("the list of expected failures"),
                              cl::cat(options));
cl::opt<std::string> required("must-pass",
                              cl::desc("cases that must not be on the list: a glob a line"),
                              cl::cat(options));
cl::opt<std::string> filter("filter", cl::desc("only cases that match this glob"), cl::init("*"),
                            cl::cat(options));
cl::opt<std::string> modeFilter("mode", cl::desc("only static, dynamic or constant"),
                                cl::cat(options));
cl::opt<std::string> shard("shard", cl::desc("I/N: every Nth case, from the Ith, 0 the first"),
                           cl::init("0/1"), cl::cat(options));
cl::opt<unsigned> jobs("jobs", cl::desc("processes"), cl::init(2), cl::cat(options));
cl::opt<std::string> report("report", cl::desc("write all failures to this file"),
                            cl::cat(options));
cl::opt<std::string> dump("dump-ir", cl::desc("run one case here and write its IR to this folder"),
                          cl::cat(options));

[[noreturn]] void stop(const Twine &message) {
  errs() << message << '\n';
  std::exit(2);
}

/// The cases that fit one glob and not another.
class CaseSet {
public:
  /// GLOB or GLOB!GLOB.
  static Expected<CaseSet> parse(StringRef text) {
    auto [wanted, unwanted] = text.split('!');
    Expected<GlobPattern> in = GlobPattern::create(wanted, kMaxBraces);
    if (!in)
      return in.takeError();
    CaseSet set{std::move(*in), std::nullopt};
    if (unwanted.empty())
      return set;
    Expected<GlobPattern> out = GlobPattern::create(unwanted, kMaxBraces);
    if (!out)
      return out.takeError();
    set.out = std::move(*out);
    return set;
  }

  bool contains(StringRef name) const { return in.match(name) && !(out && out->match(name)); }

private:
  static constexpr size_t kMaxBraces = 64;
  CaseSet(GlobPattern in, std::optional<GlobPattern> out)
      : in(std::move(in)), out(std::move(out)) {}

  GlobPattern in;
  std::optional<GlobPattern> out;
};

/// A line of the list: CASES MODES REASON, where modes "*" are all of them.
struct ExpectedFailure {
  std::string text;
  CaseSet cases;
  std::string modes;
  bool used = false;

  bool covers(StringRef name, Mode where) const {
    SmallVector<StringRef> names;
    StringRef(modes).split(names, ',');
    return (modes == "*" || is_contained(names, nameOf(where))) && cases.contains(name);
  }
};

/// The lines of a file, without comments. The file stays in memory: globs refer
/// to their text.
std::vector<StringRef> readLines(StringRef path) {
  static std::vector<std::unique_ptr<MemoryBuffer>> files;
  auto file = MemoryBuffer::getFile(path);
  if (!file)
    stop(path + ": " + file.getError().message());
  std::vector<StringRef> lines;
  for (StringRef rest = files.emplace_back(std::move(*file))->getBuffer(); !rest.empty();) {
    StringRef line;
    std::tie(line, rest) = rest.split('\n');
    if (!line.trim().empty() && !line.starts_with("#"))
      lines.push_back(line);
  }
  return lines;
}

bool areModes(StringRef text) {
  SmallVector<StringRef> names;
  text.split(names, ',');
  return text == "*" || all_of(names, [](StringRef name) {
           return is_contained(map_range(kModes, nameOf), name);
         });
}

std::vector<ExpectedFailure> readExpected() {
  std::vector<ExpectedFailure> list;
  if (expected.empty())
    return list;
  for (StringRef line : readLines(expected)) {
    auto [name, tail] = line.split(' ');
    auto [modes, reason] = tail.split(' ');
    Expected<CaseSet> cases = CaseSet::parse(name);
    if (!cases || !areModes(modes) || reason.trim().empty())
      stop(expected + ": not CASES MODES REASON: " + line);
    list.push_back({line.str(), std::move(*cases), modes.str()});
  }
  return list;
}

struct Item {
  std::string name;
  Mode mode;
};

std::vector<std::string> casesOf(StringRef folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (sys::fs::directory_iterator it(folder, error), end; it != end && !error; it.increment(error))
    if (sys::fs::exists(it->path() + "/model.onnx"))
      names.push_back(sys::path::filename(it->path()).str());
  if (error || names.empty())
    stop("no cases in " + folder);
  llvm::sort(names);
  return names;
}

std::vector<Item> chooseItems() {
  unsigned index = 0, count = 0;
  auto [first, second] = StringRef(shard).split('/');
  if (first.getAsInteger(10, index) || second.getAsInteger(10, count) || index >= count)
    stop("--shard is I/N with I < N");
  Expected<GlobPattern> glob = GlobPattern::create(filter);
  if (!glob)
    stop("--filter: " + toString(glob.takeError()));
  std::vector<Item> items;
  for (auto [i, name] : enumerate(casesOf(tests)))
    if (i % count == index && glob->match(name))
      for (Mode mode : kModes)
        if (modeFilter.empty() || modeFilter == nameOf(mode))
          items.push_back({name, mode});
  if (items.empty())
    stop("no case matches");
  return items;
}

std::string folderOf(StringRef name) { return (tests + "/" + name).str(); }

struct Counts {
  int passed = 0, expected = 0, unexpected = 0, fixed = 0;
};

bool isRunOfEverything() { return shard == "0/1" && filter == "*" && modeFilter.empty(); }

/// Whether the cases that must pass are there and none of them is on the list.
bool checkRequired(ArrayRef<Item> items, ArrayRef<ExpectedFailure> list) {
  if (required.empty())
    return true;
  bool good = true;
  for (StringRef line : readLines(required)) {
    Expected<CaseSet> cases = CaseSet::parse(line);
    if (!cases)
      stop(required + ": " + toString(cases.takeError()));
    bool found = false;
    for (const Item &item : items) {
      if (!cases->contains(item.name))
        continue;
      found = true;
      for (const ExpectedFailure &failure : list)
        if (failure.covers(item.name, item.mode)) {
          good = false;
          outs() << item.name << " must pass, but is listed: " << failure.text << '\n';
        }
    }
    if (!found && isRunOfEverything()) {
      good = false;
      outs() << "no case fits the line: " << line << '\n';
    }
  }
  return good;
}

/// How many cases pass in every mode that was run.
size_t countPassingEverywhere(ArrayRef<Item> items, ArrayRef<std::string> results) {
  std::set<StringRef> all, failing;
  for (auto [item, result] : zip_equal(items, results)) {
    all.insert(item.name);
    if (!result.empty())
      failing.insert(item.name);
  }
  return all.size() - failing.size();
}

/// Prints what is wrong and the counts per mode; returns the exit status.
int summarise(ArrayRef<Item> items, ArrayRef<std::string> results) {
  std::vector<ExpectedFailure> list = readExpected();
  std::map<StringRef, Counts> counts;
  bool good = checkRequired(items, list);
  for (auto [item, result] : zip_equal(items, results)) {
    auto entry = find_if(
        list, [&](const ExpectedFailure &failure) { return failure.covers(item.name, item.mode); });
    bool listed = entry != list.end();
    if (listed)
      entry->used = true;
    Counts &count = counts[nameOf(item.mode)];
    ++(result.empty() ? (listed ? count.fixed : count.passed)
                      : (listed ? count.expected : count.unexpected));
    if (result.empty() == listed) {
      good = false;
      outs() << item.name << ' ' << nameOf(item.mode) << ": "
             << (listed ? "passes, but is listed: " + entry->text : result) << '\n';
    }
  }
  // In a run of everything each line of the list must mean something.
  if (isRunOfEverything())
    for (const ExpectedFailure &failure : list)
      if (!failure.used) {
        good = false;
        outs() << "no case fits the line: " << failure.text << '\n';
      }
  for (auto [mode, count] : counts)
    outs() << mode << ": " << count.passed << " passed, " << count.expected
           << " failed as expected, " << count.unexpected << " failed, " << count.fixed
           << " passed though listed\n";
  outs() << countPassingEverywhere(items, results) << " cases pass in every mode\n";
  return good ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(options);
  cl::ParseCommandLineOptions(argc, argv, "runs the ONNX node tests\n");
  std::vector<Item> items = chooseItems();
  if (!dump.empty()) {
    if (items.size() != 1)
      stop("--dump-ir needs one case and mode, but " + Twine(items.size()) + " match");
    std::string result = runNodeTest(folderOf(items[0].name), items[0].mode, dump);
    outs() << (result.empty() ? "passed" : result) << '\n';
    return result.empty() ? 0 : 1;
  }
  auto run = [&](size_t i) { return runNodeTest(folderOf(items[i].name), items[i].mode); };
  // A case takes milliseconds; a busy machine may stop for a minute.
  constexpr unsigned kTimeoutSeconds = 300;
  std::vector<std::string> results = runIsolated(items.size(), run, {jobs, kTimeoutSeconds});
  if (!report.empty()) {
    std::error_code error;
    raw_fd_ostream out(report, error);
    for (auto [item, result] : zip_equal(items, results))
      if (!result.empty())
        out << item.name << ' ' << nameOf(item.mode) << ' ' << result << '\n';
    if (error)
      stop(report + ": " + error.message());
  }
  return summarise(items, results);
}
