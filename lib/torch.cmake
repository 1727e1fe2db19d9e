# LibTorch from the wheel, without find_package(Torch): that wants nvcc for a CUDA wheel.
find_path(TORCH_INCLUDE ATen/core/Tensor.h PATHS ${DS_TORCH_DIR}/include NO_DEFAULT_PATH)
find_library(TORCH_CPU_LIBRARY torch_cpu PATHS ${DS_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(C10_LIBRARY c10 PATHS ${DS_TORCH_DIR}/lib NO_DEFAULT_PATH)
if(NOT TORCH_INCLUDE OR NOT TORCH_CPU_LIBRARY OR NOT C10_LIBRARY)
  message(FATAL_ERROR "no LibTorch in DS_TORCH_DIR='${DS_TORCH_DIR}': run scripts/setup.sh, or set it to the folder of an unpacked torch==2.11.0 wheel")
endif()
# libtorch_cpu.so names these two, even where no device is used. Its own run path looks in ../nvidia/cu13/lib beside torch/.
find_library(CUDART_LIBRARY NAMES libcudart.so.13 HINTS ${DS_CUDART_DIR} ${DS_TORCH_DIR}/../nvidia/cu13/lib /usr/local/cuda/lib64 REQUIRED)
find_library(CUPTI_LIBRARY NAMES libcupti.so.13 HINTS ${DS_CUDART_DIR} ${DS_TORCH_DIR}/../nvidia/cu13/lib /usr/local/cuda/lib64 REQUIRED)
cmake_path(GET CUDART_LIBRARY PARENT_PATH CUDART_DIR)

add_library(torch::c10 SHARED IMPORTED)
set_target_properties(torch::c10 PROPERTIES IMPORTED_LOCATION ${C10_LIBRARY})
add_library(torch::cpu SHARED IMPORTED)
set_target_properties(torch::cpu PROPERTIES
  IMPORTED_LOCATION ${TORCH_CPU_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES "${TORCH_INCLUDE};${TORCH_INCLUDE}/torch/csrc/api/include"
  # The include folder holds fmt 12, Debian's library is fmt 9: with headers only, nothing is left to link.
  INTERFACE_COMPILE_DEFINITIONS "FMT_HEADER_ONLY;AT_PER_OPERATOR_HEADERS"
  # LibTorch's headers have parallel_for run in one thread, without a word, where _OPENMP is not defined.
  INTERFACE_LINK_LIBRARIES "torch::c10;OpenMP::OpenMP_CXX")
