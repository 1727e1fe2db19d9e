// Libraries of the project that are loaded when something asks for them, so that a tool starts without what it does not use.
#pragma once
#include <string>

namespace ds::core {

struct CommandOptions;
struct Record;

/// Loads a library of ours for good and returns its handle for dlsym. No path: the run path of libds_base.so finds it in the build tree and in
/// the install tree. Its symbols stay its own: what it links may be there in another version too.
/// Throws ds::Error(kResource, file, ..., hint) where it is not there or cannot be loaded.
void* load_module(const std::string& file, const std::string& hint);

/// Loads the engine and runs the command of that name in it. Throws ds::Error: kResource where libds.so is not there, and the command's own.
void run_engine(const std::string& command, const CommandOptions& options, Record& record);

}  // namespace ds::core
