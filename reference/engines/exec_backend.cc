#include "reference/engines/exec_backend.h"

#include "reference/engines/command_line.h"
#include "reference/engines/engine_process.h"

namespace parity {
namespace {

class ExecBackend : public DirectoryBackend {
 public:
  explicit ExecBackend(std::string command) : command_(std::move(command)) {}

  std::string name() const override { return "exec:" + command_; }
  ProbeResult Probe() override { return ProbeCommand("exec", command_); }
  std::string Identity(const FileHasher& hash) override { return "exec:" + CommandIdentity(command_, hash); }

  void RunTo(const Request& request, const std::string& directory) override {
    RunEngineProcess(name(), request, directory, [&](const std::string& request_file, const std::string& out) {
      return std::vector<std::string>{"/bin/sh", "-c", command_ + " \"$@\"", "sh", request_file, out};
    });
  }

 private:
  std::string command_;
};

}  // namespace

std::unique_ptr<Backend> MakeExecBackend(const std::string& command) { return std::make_unique<ExecBackend>(command); }

}  // namespace parity
