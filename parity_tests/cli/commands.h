// The subcommands of bitnet-parity, one file each. A command adds its options to `app` and sets `exit_code` when it has
// run: 0 parity, 1 divergence, 2 error. What it throws ends the program with exit code 2 and the message on standard
// error.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_COMMANDS_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_COMMANDS_H_

namespace CLI {
class App;
}

namespace parity {

void AddBenchmarkCommand(CLI::App& app, int& exit_code);
void AddCalibrateCommand(CLI::App& app, int& exit_code);
void AddCompareCommand(CLI::App& app, int& exit_code);
void AddCompatCheckCommand(CLI::App& app, int& exit_code);
void AddDiffModelsCommand(CLI::App& app, int& exit_code);
void AddGenerateCommand(CLI::App& app, int& exit_code);
void AddInspectCommand(CLI::App& app, int& exit_code);
void AddLadderCommand(CLI::App& app, int& exit_code);
void AddMakeRequestCommand(CLI::App& app, int& exit_code);
void AddMatrixCommand(CLI::App& app, int& exit_code);
void AddMergeCommand(CLI::App& app, int& exit_code);
void AddSweepCommand(CLI::App& app, int& exit_code);
void AddCheckCaptureCommand(CLI::App& app, int& exit_code);
void AddPreflightCommand(CLI::App& app, int& exit_code);
void AddReceiptsCommand(CLI::App& app, int& exit_code);
void AddRecordCommand(CLI::App& app, int& exit_code);
void AddTokenizeCommand(CLI::App& app, int& exit_code);
void AddTraceDiffCommand(CLI::App& app, int& exit_code);
void AddReplayCommand(CLI::App& app, int& exit_code);
void AddVerifyReceiptCommand(CLI::App& app, int& exit_code);
void AddWhatbugCommand(CLI::App& app, int& exit_code);
void AddBisectCommand(CLI::App& app, int& exit_code);
void AddNoiseCommand(CLI::App& app, int& exit_code);
void AddSmokeCommand(CLI::App& app, int& exit_code);
void AddCtestInitCommand(CLI::App& app, int& exit_code);
void AddCompletionCommand(CLI::App& app, int& exit_code);
void AddManCommand(CLI::App& app, int& exit_code);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_COMMANDS_H_
