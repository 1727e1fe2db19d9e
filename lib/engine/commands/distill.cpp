#include "base/commands/distill_options.h"
#include "base/core/error.h"
#include "engine/commands/session.h"
#include "engine/compress/distill/distiller.h"

namespace ds::commands {

namespace {

/// A teacher that sees other pictures or tells other classes apart teaches something else.
void check_teacher(const Opened& student, const Opened& teacher) {
  const std::int64_t has = train::output_classes(teacher.model.graph), wants = train::output_classes(student.model.graph);
  if (has != wants)
    throw Error(Exit::kInput, teacher.given, std::to_string(has) + " classes, the student has " + std::to_string(wants), "take a teacher of the same classes");
  if (teacher.checkpoint.labels != student.checkpoint.labels) throw Error(Exit::kInput, teacher.given, "its classes are named otherwise than the student's");
  if (teacher.checkpoint.preprocessing != student.checkpoint.preprocessing)
    throw Error(Exit::kInput, teacher.given, "its preprocessing differs from the student's", "train both with the same data and image size");
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const DistillCommand&>(base);
  Opened student = open_model("student", o.input, record), teacher = open_model("teacher", o.teacher, record);
  check_teacher(student, teacher);
  const data::Dataset& data = open_data(student, o.data);
  if (!data.tells_classes())
    throw Error(Exit::kInput, "data", "'" + data.spec + "' has no classes, distillation teaches scores of classes", "train the student with ds-train --init");
  if (o.common.dry_run) {
    record["metrics"] = figures(student.model.graph);
    return;
  }
  const Json& preprocessing = student.checkpoint.preprocessing;
  const Json before = evaluate_split(student.model, data, preprocessing, "val");
  Json metrics = {{"teacher_val_top1", evaluate_split(teacher.model, data, preprocessing, "val").value("val_top1", 0.0)}};
  const auto make = core::body<compress::MakeDistillation>("distillation", o.loss.name);
  const io::Checkpoint parent = student.checkpoint;
  io::Checkpoint& checkpoint = student.checkpoint;
  fit_model(student.model, data, o.fit, checkpoint, o.output, o.common, o.resume == "auto", augmentation(checkpoint, o.augment),
            {make(teacher.model, *o.loss.options)}, "distil", {{"teacher", teacher.checkpoint.digest}});
  metrics.update(evaluate_split(student.model, data, preprocessing, "val", 250, &checkpoint.evaluation));
  for (const auto& [key, value] : before.items()) metrics["before_" + key] = value;
  save_model(checkpoint, student.model, o.output, o.common, provenance_step(o.common, {&parent, &teacher.checkpoint}, &data, metrics), record);
  drop_partial(o.output);
}

const core::Body<core::Command> body{"command", "distill", run};

}  // namespace
}  // namespace ds::commands
