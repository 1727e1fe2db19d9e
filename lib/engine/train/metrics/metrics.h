// Figures of predictions, each with an interval at 95 %. Shares have Wilson's (1927); for the rest the variance is that of the figure's influence
// function over the samples (delta method; Hampel 1974), and a figure between two bounds has Wilson's interval of a share with the same variance,
// which for an accuracy is Wilson's itself. Nothing is drawn at random.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::train::metrics {

struct Estimate {
  double value = 0, low = 0, high = 0;
};
/// Adds "<name>", "<name>_low", "<name>_high".
void put(nlohmann::json& figures, const std::string& name, const Estimate& estimate);

/// A share `correct` of n.
Estimate share(std::int64_t correct, std::int64_t n);
/// A figure within [least, most] whose samples have this influence, whatever its mean.
Estimate bounded(double value, const std::vector<double>& influence, double least = 0, double most = 1);
/// A figure without bounds, or of none but `least`.
Estimate unbounded(double value, const std::vector<double>& influence, double least = -1e300);
/// A mean with its standard error.
Estimate mean(const std::vector<double>& values, double least = -1e300);

/// Adds precision_macro, recall_macro, f1_macro, f1_micro and mcc (Gorodkin 2004, equation 8) as scikit-learn has them: means over the classes that
/// occur as a label or a prediction, 0 where nothing was predicted or labelled so.
void put_classes(nlohmann::json& figures, const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& predictions, std::int64_t classes);

/// Area under the curve of true against false positives, each class against the rest, a mean over the classes that have both; ties count half. Variance:
/// DeLong et al. 1988. NaN where there is no such class.
/// @param scores [n, classes], higher = likelier
Estimate auroc(const std::vector<float>& scores, const std::vector<std::int64_t>& labels, std::int64_t classes);

/// Expected calibration error of 15 bins (Guo et al. 2017, equation 3).
Estimate calibration_error(const std::vector<float>& confidences, const std::vector<bool>& correct);

/// Adds rmse, mae and r2, means over the columns. @param predicted, truth [n, values] float64 in the data's own units
void put_numbers(nlohmann::json& figures, const at::Tensor& predicted, const at::Tensor& truth);

/// Spearman's rank correlation with ties, interval by Fisher's z with the variance of Bonett and Wright 2000. NaN where one side is constant.
Estimate spearman(const std::vector<double>& a, const std::vector<double>& b);
/// Share of rows of `queries` [n, D] whose nearest row of `keys` [m, D] by cosine is right: row i's is key i where labels are undefined; else another
/// row than itself (queries = keys) of its own label [n].
Estimate recall_at_1(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& labels);

}  // namespace ds::train::metrics
